"""Measured clips: each simulated clip through the rppg branch, as one row (a JSON object) in a journal.

A row has the clip's conditions and truth, its vitals, and every estimator's rate.
"""

import json
import os
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from lab.data.fingerprint import workers_fingerprint
from lab.data.rows import Row, read_rows
from lab.data.vitals_clips import RenderedClip, render
from lab.simulate import ClipSpec
from shared.schemas import Measure, VariabilityMeasures, Vital
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import open_clip
from workers.rppg.estimators import ESTIMATORS, whole_face_wave
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, examine, measure_rppg
from workers.rppg.signals.beats import Beats
from workers.rppg.signals.spectrum import spectrum_of
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
    result = examine(track)
    examined = result if isinstance(result, Examined) else None
    vitals = measure_rppg(track, models, examined=examined).vitals
    row: Row = {
        "seed": spec.seed,
        "conditions": {name: getattr(spec, name) for name in CONDITIONS},
        "truth": {name: truth[name] for name in ("heart_rate", "respiration_rate", "sdnn_ms", "rmssd_ms")},
        "checks": {name: check.reason for name, check in track.checks.items() if check.reason is not None},
        "vitals": {name: _vital(vital) for name, vital in vitals.items()},
    }
    if examined is not None:
        pulse = examined.pulse
        row["estimates"] = {
            name: 60 * spectrum_of(whole_face_wave(run(examined.traces)), examined.traces.fs).peak_hz()
            for name, run in models.estimators.items()
        }
        row |= {
            "rate_per_min": pulse.rate_per_min,
            "probability": pulse.verdict.probability,
            "snr_db": pulse.snr_db,
            "beats": _of_beats(beats_in(pulse)),
        }
    return row


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
