"""One clip through the rppg branch: its conditions, its truth, and everything that the branch thought, as one row."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lab.simulate import ClipSpec, Truth
from lab.trials import filmed
from shared.schemas import Measure, Vital
from workers.face import FaceTrack, FaceTracker
from workers.rppg.branch import Examined, examine, measure_rppg
from workers.rppg.estimators import NEURAL
from workers.rppg.models import RppgModels
from workers.rppg.pulse import pulse_of

Row = dict[str, Any]

#: Conditions of a clip that tables are made by.
CONDITIONS: Final = (
    "kind", "skin_tone", "light", "motion", "codec", "bitrate_bps", "fps", "jitter", "heart_rate", "respiration_rate",
    "duration_s",
)  # fmt: skip


def rows(specs: Iterable[ClipSpec], models: RppgModels, tracker: FaceTracker, journal: Path) -> Iterator[Row]:
    """A row for each clip; those that `journal` (JSON lines) holds already are read, the others measured and added."""
    known = {row["seed"]: row for row in read_rows(journal)}
    journal.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a", encoding="utf-8") as file:
        for spec in specs:
            row = known.get(spec.seed)
            if row is None:
                truth, track = filmed(spec, tracker)
                row = row_of(spec, truth, track, models)
                file.write(json.dumps(row) + "\n")
                file.flush()
            yield row


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


def row_of(spec: ClipSpec, truth: Truth, track: FaceTrack, models: RppgModels) -> Row:
    """Everything that tables and calibration need of one clip."""
    examined = examine(track, models, thorough=True)
    seen = examined if isinstance(examined, Examined) else None
    vitals = measure_rppg(track, models, examined=seen).vitals
    row: Row = {
        "seed": spec.seed,
        "conditions": {name: getattr(spec, name) for name in CONDITIONS},
        "truth": {
            "heart_rate": truth.heart_rate,
            "respiration_rate": truth.respiration_rate,
            "sdnn_ms": truth.sdnn_ms,
            "rmssd_ms": truth.rmssd_ms,
        },
        "checks": {name: check.reason for name, check in track.checks.items() if check.reason is not None},
        "vitals": {name: _vital(vital) for name, vital in vitals.items()},
    }
    if seen is not None:
        row["estimates"] = {estimate.name: estimate.rate_per_min for estimate in seen.pulse.estimates}
        row["snr_db"] = {estimate.name: estimate.snr_db for estimate in seen.pulse.estimates}
        row["agreement"] = asdict(seen.pulse.agreement)
        row["evidence"] = asdict(seen.pulse.evidence)
        row["rate_per_min"] = seen.pulse.rate_per_min
        signal = {name: run for name, run in models.estimators.items() if name not in NEURAL}
        if signal:
            alone = pulse_of(seen.traces, signal)
            row["alone"] = {
                "agreement": asdict(alone.agreement),
                "evidence": asdict(alone.evidence),
                "rate_per_min": alone.rate_per_min,
            }
    return row


def _vital(vital: Vital) -> Row:
    value = vital.value
    if isinstance(value, dict):
        value_of = {name: _measure(measure) for name, measure in value.items()}
        return {"value": value_of, "status": vital.status, "reason": vital.reason, "ingredients": vital.ingredients}
    return {
        "value": value,
        "status": vital.status,
        "reason": vital.reason,
        "interval": vital.interval,
        "ingredients": vital.ingredients,
    }


def _measure(measure: Measure) -> Row:
    return {"value": measure.value, "status": measure.status, "interval": measure.interval}
