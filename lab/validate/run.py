"""Measure every window of many recordings, in one process or several, and continue where an earlier run stopped."""

import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from lab.data.fingerprint import fingerprint
from lab.data.labelled import LabelledRecording, has_high_dynamic_range
from lab.data.recording import RecordingUnreadable
from lab.data.reference import References
from lab.data.rows import Row
from lab.validate.interrupt import end_when_interrupted
from lab.validate.journal import Journal, is_window
from lab.validate.product import PERSONAL, Product
from lab.validate.windows import WINDOW_S, windows
from workers.analyzer import AnalyzerOptions


def journal_of(folder: Path, options: AnalyzerOptions, window_s: float = WINDOW_S) -> Journal:
    """The journal in a folder for rows that are measured with these options."""
    # What changes the speed alone, and the folder of the models, change no row.
    relevant = replace(options, models_dir=Path(), threads=1, device="auto")
    return Journal(folder, window_s, fingerprint(relevant))


def measure_recordings(
    recordings: Sequence[LabelledRecording],
    journal: Journal,
    options: AnalyzerOptions,
    *,
    jobs: int = 1,
    window_s: float = WINDOW_S,
) -> Iterator[tuple[str, str | None]]:
    """Write the rows that are missing in the journal. Yields each recording's name when it is finished, and its fault.

    A recording that can't be read costs itself alone. Recordings that were finished before are yielded first: they are
    not measured again, but their rows get the references and labels of today.

    Raises:
        DeviceUnavailable: the device is `cuda`, and ONNX Runtime has no CUDA here.
        ModelNotInstalled: the face mesh or a face detector is missing.
        concurrent.futures.process.BrokenProcessPool: a process ended, as when the memory is exhausted.
    """
    journal.repair()
    rows = journal.rows()
    finished = {row["file"] for row in rows if row["kind"] == "recording" and row["error"] is None}
    known: dict[str, list[Row]] = {each.name: [] for each in recordings}
    for row in rows:
        if is_window(row) and row["file"] in known:
            known[row["file"]].append(row)
    for each in recordings:
        if each.name in finished:
            yield each.name, _relabel(each, known[each.name], journal)
    rest = [each for each in recordings if each.name not in finished]
    if jobs <= 1 or len(rest) <= 1:
        for each in rest:
            yield each.name, _measure(each, known[each.name], journal, options, window_s)
        return
    # The processes share the cores already.
    options = replace(options, threads=1)
    # Processes are spawned: CUDA and FFmpeg's threads can't survive a fork.
    with ProcessPoolExecutor(min(jobs, len(rest)), get_context("spawn"), end_when_interrupted) as pool:
        pending = {
            pool.submit(_measure, each, known[each.name], journal, options, window_s): each.name for each in rest
        }
        try:
            for done in as_completed(pending):
                yield pending[done], done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@lru_cache(maxsize=1)
def _product(options: AnalyzerOptions) -> Product:
    """The models of this process, loaded once."""
    return Product(options)


def _measure(
    recording: LabelledRecording, known: list[Row], journal: Journal, options: AnalyzerOptions, window_s: float
) -> str | None:
    """Write the rows of a recording; returns why it can't be read, or None."""
    why: str | None = None
    count = 0
    product = _product(options)
    if known and (why := _relabel(recording, known, journal)) is not None:
        return why
    try:
        for row in _rows(recording, known, product, window_s):
            journal.add(row)
            count += 1
        if not known and not count:
            why = f"{recording.name}: there is no picture in it"
    except (RecordingUnreadable, OSError) as error:
        why = str(error)
    except Exception as error:  # a fault of ours on one recording must not end a run of hours
        why = "".join(traceback.format_exception(error))
    journal.add({"kind": "recording", **_about(recording), "error": why})
    return why


def _relabel(recording: LabelledRecording, known: list[Row], journal: Journal) -> str | None:
    """Renew references and labels of rows that were measured before; returns why they can't be read, or None."""
    try:
        references = recording.references()
    except (RecordingUnreadable, OSError) as error:
        return str(error)
    for row in known:
        renewed = {**row, **_about(recording), "reference": _between(references, row["first_s"], row["stop_s"])}
        if renewed != row:
            journal.add(renewed)
    return None


def _between(references: References, first_s: float, stop_s: float) -> Row:
    """The references between two times; None where there is no usable one."""
    found = {name: reference.between(first_s, stop_s) for name, reference in references.items()}
    return {name: None if value is None else round(value, 3) for name, value in found.items()}


def _about(recording: LabelledRecording) -> Row:
    person = {name: value for name, value in asdict(recording.person).items() if value is not None}
    return {"file": recording.name, "subject": recording.subject, "condition": recording.condition, "person": person}


def _rows(recording: LabelledRecording, known: list[Row], product: Product, window_s: float) -> Iterator[Row]:
    """Rows of the windows of a recording that are not among those that are known."""
    references = recording.references()
    hdr = recording.video is not None and has_high_dynamic_range(recording.video)
    before = {row["start_s"] for row in known}
    personal = not any(_has_person(row) for row in known)
    for window in windows(recording.frames(), window_s):
        if window.start_s in before:
            continue
        track = product.track(window, high_dynamic_range=hdr)
        # A shorter one is measured where the recording has no other.
        if not window.is_whole and window.start_s > 0:
            continue
        row: Row = {
            "kind": "window",
            **_about(recording),
            "start_s": window.start_s,
            "first_s": window.first_s,
            "stop_s": window.last_s,
            "frames": len(track.times_s),
            "reference": _between(references, window.first_s, window.last_s),
            **product.measure(track, personal=personal),
        }
        personal = personal and not _has_person(row)
        yield row


def _has_person(row: Row) -> bool:
    """Whether a vital of the person has a value in the row."""
    return any("value" in row["vitals"].get(name, {}) for name in PERSONAL)
