"""Measured clips: each simulated clip through the rppg branch, as one row (a JSON object) in a journal.

A row has the clip's conditions and truth, its vitals, every estimator's rate and SNR, agreement and evidence.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.data.fingerprint import workers_fingerprint
from lab.data.rows import Row, read_rows
from lab.data.vitals_clips import RenderedClip, render
from lab.simulate import ClipSpec
from shared.schemas import Measure, VariabilityMeasures, Vital
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import open_clip
from workers.rppg.estimators import BY_COLOUR, ESTIMATORS, NEURAL, STAGES, Estimator
from workers.rppg.fusion.agreement import Estimate
from workers.rppg.fusion.cascade import estimate_pulse
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, examine, measure_rppg
from workers.rppg.signals.beats import Beats
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.heart_rate_variability import MEASURES, beats_in, regular

__all__ = ["CONDITIONS", "Row", "read_rows", "row_of", "rows"]

#: Conditions of a clip that are kept in its row.
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
    """A row for each clip, in the order in which they are ready; clips are rendered into `clips` unless they are there.

    Rows of `journal` (JSON lines) that were measured by the present code are read from it; the others are measured and
    appended. With more than one process, all run at low priority.

    specs      conditions of the clips, one for each seed
    open_only  leave out models without an open licence
    """
    code = workers_fingerprint()
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


def _measured(specs: list[ClipSpec], clips: Path, how: tuple[Path, bool], processes: int) -> Iterator[Row]:
    if processes <= 1:
        _prepare(*how, niceness=0)
        yield from (_row((spec, clips)) for spec in specs)
        return
    with get_context("spawn").Pool(processes, _prepare, (*how, 10)) as pool:
        yield from pool.imap_unordered(_row, [(spec, clips) for spec in specs])


#: Models and face tracker of a worker process, loaded once.
_tools: dict[str, Any] = {}


def _prepare(models_dir: Path, open_only: bool, niceness: int) -> None:
    os.nice(niceness)
    # Every estimator, including those that are only measured alone.
    names = frozenset(spec.name for spec in ESTIMATORS)
    _tools["models"] = RppgModels.load(models_dir, 1, open_only=open_only, only=names)
    _tools["tracker"] = FaceTracker()


def _row(job: tuple[ClipSpec, Path]) -> Row:
    spec, clips = job
    rendered = render(spec, clips)
    with open_clip(rendered.path) as clip:
        track = _tools["tracker"].track(clip.frames())
    return row_of(rendered, track, _tools["models"])


def row_of(rendered: RenderedClip, track: FaceTrack, models: RppgModels) -> Row:
    """The row of a rendered clip and its face track; `models` must include every estimator to be measured."""
    spec, truth = rendered.spec, rendered.truth
    every = _with_cached_waves(models)
    kept = {spec.name for spec in ESTIMATORS if spec.default}
    default = replace(every, estimators={name: run for name, run in every.estimators.items() if name in kept})
    result = examine(track, default, thorough=True)
    thorough = result if isinstance(result, Examined) else None
    # As the service does it: networks run only where the signal estimators leave a doubt.
    served = (
        None if thorough is None else Examined(thorough.traces, estimate_pulse(thorough.traces, default.estimators))
    )
    vitals = measure_rppg(track, default, examined=served).vitals
    row: Row = {
        "seed": spec.seed,
        "conditions": {name: getattr(spec, name) for name in CONDITIONS},
        "truth": {name: truth[name] for name in ("heart_rate", "respiration_rate", "sdnn_ms", "rmssd_ms")},
        "checks": {name: check.reason for name, check in track.checks.items() if check.reason is not None},
        "vitals": {name: _vital(vital) for name, vital in vitals.items()},
    }
    if thorough is not None and served is not None:
        row["estimates"] = {_name(estimate): estimate.rate_per_min for estimate in thorough.pulse.estimates}
        row["snr_db"] = {_name(estimate): estimate.snr_db for estimate in thorough.pulse.estimates}
        for name in every.estimators.keys() - kept:
            spectrum = spectrum_of(every.estimators[name](thorough.traces), thorough.traces.fs)
            row["estimates"][name] = 60 * spectrum.peak_hz()
            row["snr_db"][name] = snr_db(spectrum, spectrum.peak_hz())
        row["estimators_run"] = [estimate.name for estimate in served.pulse.estimates if estimate.part is None]
        row |= _of_pulse(served.pulse)
        row["beats"] = _of_beats(beats_in(served.pulse))
        signal = {name: run for name, run in default.estimators.items() if name not in NEURAL}
        colours = {name: run for name, run in signal.items() if name in BY_COLOUR}
        for name, chosen in (("alone", signal), ("colours", colours)):
            if chosen:
                row[name] = _of_pulse(estimate_pulse(thorough.traces, chosen))
        row["networks"] = [
            _of_pulse(estimate_pulse(thorough.traces, so_far, thorough=True))
            for so_far in _after_each_network_stage(default.estimators)
        ]
    return row


def _after_each_network_stage(estimators: dict[str, Estimator]) -> Iterator[dict[str, Estimator]]:
    """The estimators that have run after each stage of the cascade that includes a network."""
    for turn in sorted({STAGES[name] for name in estimators if name in NEURAL}):
        yield {name: run for name, run in estimators.items() if STAGES[name] <= turn}


def _name(estimate: Estimate) -> str:
    """The estimator's name, followed by a full stop and the part of the face for estimates of a part."""
    return estimate.name if estimate.part is None else f"{estimate.name}.{estimate.part}"


def _with_cached_waves(models: RppgModels) -> RppgModels:
    """The models with each estimator's wave cached: for one clip's traces alone."""

    def cached(run: Estimator) -> Estimator:
        waves: list[NDArray[np.float64]] = []

        def wave(traces: Traces) -> NDArray[np.float64]:
            if not waves:
                waves.append(run(traces))
            return waves[0]

        return wave

    return replace(models, estimators={name: cached(run) for name, run in models.estimators.items()})


def _of_pulse(pulse: Pulse) -> Row:
    return {
        "agreement": asdict(pulse.agreement),
        "evidence": asdict(pulse.evidence),
        "rate_per_min": pulse.rate_per_min,
    }


def _of_beats(beats: Beats) -> Row | None:
    """Measures of the beats, whether or not they are reported; None without a regular rhythm.

    Reported beats alone would be a biased sample: they are chosen by the errors that are fitted to these.
    """
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
