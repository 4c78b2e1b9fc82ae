"""One clip through the rppg branch: its conditions, its truth, and everything that the branch thought, as one row."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.simulate import ClipSpec
from lab.trials import Film, film
from shared.observability.logging import silence_native_stderr
from shared.schemas import Measure, VariabilityMeasures, Vital
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import open_clip
from workers.rppg.estimators import BY_COLOUR, ESTIMATORS, NEURAL, TURNS, Estimator
from workers.rppg.fusion.agreement import Estimate
from workers.rppg.fusion.cascade import pulse_of
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.loaded_models import RppgModels
from workers.rppg.pipeline import Examined, examine, measure_rppg
from workers.rppg.signals.beats import Beats
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.hrv import MEASURES, beats_in, regular

Row = dict[str, Any]

#: Conditions of a clip that tables are made by.
CONDITIONS: Final = (
    "kind", "skin_tone", "light", "motion", "codec", "bitrate_bps", "fps", "jitter", "heart_rate", "respiration_rate",
    "duration_s",
)  # fmt: skip


def rows(
    specs: Sequence[ClipSpec],
    models_dir: Path,
    clips: Path,
    journal: Path,
    processes: int = 1,
    *,
    open_only: bool = False,
) -> Iterator[Row]:
    """A row for each clip, filmed into `clips` where it is not there yet; in the order in which they are ready.

    Rows that `journal` (JSON lines) holds are read from it, if the code that measured them is the code of now; the
    others are measured and added. Several processes step behind whatever else the machine does.
    """
    code = code_mark()
    wanted = {spec.seed: spec for spec in specs}
    known = {row["seed"]: row for row in read_rows(journal) if row.get("code") == code and row["seed"] in wanted}
    yield from known.values()
    journal.parent.mkdir(parents=True, exist_ok=True)
    rest = [spec for spec in specs if spec.seed not in known]
    with journal.open("a", encoding="utf-8") as file:
        for row in _measured(rest, clips, (models_dir, open_only), processes):
            row["code"] = code
            file.write(json.dumps(row) + "\n")
            file.flush()
            yield row


def code_mark() -> str:
    """A mark that changes with every change of the workers' code and calibration, those of the vision branch apart."""
    folder = Path(str(files("workers")))
    code = (path for path in folder.rglob("*") if path.suffix in {".py", ".json"})
    found = sorted(path for path in code if not {folder / "vision", folder / "liveness"} & set(path.parents))
    return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()[:12]


def _measured(specs: list[ClipSpec], clips: Path, how: tuple[Path, bool], processes: int) -> Iterator[Row]:
    if processes <= 1:
        _prepare(*how, niceness=0)
        yield from (_row((spec, clips)) for spec in specs)
        return
    with get_context("spawn").Pool(processes, _prepare, (*how, 10)) as pool:
        yield from pool.imap_unordered(_row, [(spec, clips) for spec in specs])


#: What a process measures with, loaded once.
_tools: dict[str, Any] = {}


def _prepare(models_dir: Path, open_only: bool, niceness: int) -> None:
    os.nice(niceness)
    silence_native_stderr()
    # Every estimator, those as well that are here to be measured alone.
    names = frozenset(spec.name for spec in ESTIMATORS)
    _tools["models"] = RppgModels.load(models_dir, 1, open_only=open_only, only=names)
    _tools["tracker"] = FaceTracker()


def _row(job: tuple[ClipSpec, Path]) -> Row:
    spec, clips = job
    shot = film(spec, clips)
    with open_clip(shot.path) as clip:
        track = _tools["tracker"].track(clip.frames())
    return row_of(shot, track, _tools["models"])


def read_rows(journal: Path) -> list[Row]:
    """The rows of a journal; a line that a killed process left half written is left out."""
    if not journal.is_file():
        return []
    found = []
    for line in journal.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def row_of(shot: Film, track: FaceTrack, models: RppgModels) -> Row:
    """Everything that tables and calibration need of one clip."""
    spec, truth = shot.spec, shot.truth
    every = _once_each(models)
    kept = {spec.name for spec in ESTIMATORS if spec.kept}
    asked = replace(every, estimators={name: run for name, run in every.estimators.items() if name in kept})
    examined = examine(track, asked, thorough=True)
    seen = examined if isinstance(examined, Examined) else None
    told = None if seen is None else Examined(seen.traces, pulse_of(seen.traces, asked.estimators))
    vitals = measure_rppg(track, asked, examined=told).vitals
    row: Row = {
        "seed": spec.seed,
        "conditions": {name: getattr(spec, name) for name in CONDITIONS},
        "truth": {name: truth[name] for name in ("heart_rate", "respiration_rate", "sdnn_ms", "rmssd_ms")},
        "checks": {name: check.reason for name, check in track.checks.items() if check.reason is not None},
        "vitals": {name: _vital(vital) for name, vital in vitals.items()},
    }
    if seen is not None and told is not None:
        row["estimates"] = {_name(estimate): estimate.rate_per_min for estimate in seen.pulse.estimates}
        row["snr_db"] = {_name(estimate): estimate.snr_db for estimate in seen.pulse.estimates}
        for name in every.estimators.keys() - kept:
            spectrum = spectrum_of(every.estimators[name](seen.traces), seen.traces.fs)
            row["estimates"][name] = 60 * spectrum.peak_hz()
            row["snr_db"][name] = snr_db(spectrum, spectrum.peak_hz())
        row["asked"] = [estimate.name for estimate in told.pulse.estimates if estimate.part is None]
        row |= _of_pulse(told.pulse)
        row["beats"] = _of_beats(beats_in(told.pulse))
        signal = {name: run for name, run in asked.estimators.items() if name not in NEURAL}
        colours = {name: run for name, run in signal.items() if name in BY_COLOUR}
        for name, chosen in (("alone", signal), ("colours", colours)):
            if chosen:
                row[name] = _of_pulse(pulse_of(seen.traces, chosen))
        row["networks"] = [
            _of_pulse(pulse_of(seen.traces, so_far, thorough=True)) for so_far in _turn_by_turn(asked.estimators)
        ]
    return row


def _turn_by_turn(estimators: dict[str, Estimator]) -> Iterator[dict[str, Estimator]]:
    """The estimators asked after each turn in which there is a network."""
    for turn in sorted({TURNS[name] for name in estimators if name in NEURAL}):
        yield {name: run for name, run in estimators.items() if TURNS[name] <= turn}


def _name(estimate: Estimate) -> str:
    """The estimator's name, and after a full stop the part of the face that it is of, if it is of one."""
    return estimate.name if estimate.part is None else f"{estimate.name}.{estimate.part}"


def _once_each(models: RppgModels) -> RppgModels:
    """The models, each estimator answering once: for one clip's traces alone."""

    def once(run: Estimator) -> Estimator:
        answers: list[NDArray[np.float64]] = []

        def answer(traces: Traces) -> NDArray[np.float64]:
            if not answers:
                answers.append(run(traces))
            return answers[0]

        return answer

    return replace(models, estimators={name: once(run) for name, run in models.estimators.items()})


def _of_pulse(pulse: Pulse) -> Row:
    return {
        "agreement": asdict(pulse.agreement),
        "evidence": asdict(pulse.evidence),
        "rate_per_min": pulse.rate_per_min,
    }


def _of_beats(beats: Beats) -> Row | None:
    """What beats give, told or not: what is told was chosen by the errors that are fitted to it."""
    if not regular(beats):
        return None
    measures = {name: MEASURES[name](beats) for name in ("sdnn_ms", "rmssd_ms", "mean_ibi_ms")}
    return {"intervals": int(beats.kept.sum()), **measures}


def _vital(vital: Vital) -> Row:
    value = vital.value
    if isinstance(value, VariabilityMeasures):
        value_of = {name: _measure(measure) for name, measure in value.by_name().items()}
        return {"value": value_of, "status": vital.status, "reason": vital.reason, "diagnostics": _diagnostics(vital)}
    return {
        "value": value,
        "status": vital.status,
        "reason": vital.reason,
        "interval": vital.interval,
        "diagnostics": _diagnostics(vital),
    }


def _diagnostics(vital: Vital) -> Row | None:
    return vital.diagnostics.model_dump() if vital.diagnostics else None


def _measure(measure: Measure) -> Row:
    return {"value": measure.value, "status": measure.status, "interval": measure.interval}
