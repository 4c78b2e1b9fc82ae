"""Measure every window of many recordings, in one process or several, and continue where an earlier run stopped."""

import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from functools import lru_cache
from multiprocessing import get_context

from lab.data.labelled import LabelledRecording, has_high_dynamic_range
from lab.data.recording import RecordingUnreadable
from lab.data.rows import Row
from lab.validate.interrupt import end_when_interrupted
from lab.validate.journal import Journal
from lab.validate.product import PERSONAL, Product
from lab.validate.windows import WINDOW_S, windows
from workers.analyzer import AnalyzerOptions


def measure_recordings(
    recordings: Sequence[LabelledRecording],
    journal: Journal,
    options: AnalyzerOptions,
    *,
    jobs: int = 1,
    window_s: float = WINDOW_S,
) -> Iterator[tuple[str, str | None]]:
    """Write the rows that are missing in the journal. Yields each recording's name when it is finished, and its fault.

    A recording that can't be read costs itself alone. Recordings that were finished before are yielded first.

    Raises:
        DeviceUnavailable: the device is `cuda`, and ONNX Runtime has no CUDA here.
        ModelNotInstalled: the face mesh or a face detector is missing.
        concurrent.futures.process.BrokenProcessPool: a process ended, as when the memory is exhausted.
    """
    journal.repair()
    rows = journal.rows()
    finished = {row["file"] for row in rows if row["kind"] == "recording" and row["error"] is None}
    yield from ((each.name, None) for each in recordings if each.name in finished)
    rest = [each for each in recordings if each.name not in finished]
    known = {each.name: [row for row in rows if row["file"] == each.name and row["kind"] == "window"] for each in rest}
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
            "stop_s": round(window.last_s, 3),
            "frames": len(track.times_s),
            "reference": {
                name: None if value is None else round(value, 3)
                for name, reference in references.items()
                for value in [reference.between(window.first_s, window.last_s)]
            },
            **product.measure(track, personal=personal),
        }
        personal = personal and not _has_person(row)
        yield row


def _has_person(row: Row) -> bool:
    """Whether a vital of the person has a value in the row."""
    return any("value" in row["vitals"].get(name, {}) for name in PERSONAL)
