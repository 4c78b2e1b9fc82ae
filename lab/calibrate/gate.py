"""`python -m lab.calibrate.gate`: fit what tells a pulse from none to simulated clips, living and not.

Films the clips of the calibration seeds (hours; it goes on where it stopped), fits a logistic regression with and
without networks, and sets the least log odds above everything that has no pulse, each clip judged by a model that was
fitted without it. With `--write`, renews the gate in `workers/rppg/calibration.json`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import fields as dataclass_fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.bench.trial import Row, read_rows, rows
from lab.calibrate.fit import quantile_regression
from lab.trials import CALIBRATION_SEED, PULSELESS, specs
from workers.rppg.agreement import Agreement
from workers.rppg.calibration import (
    CALIBRATION,
    LEAST_ERROR_PER_MIN,
    PixelIntervalModel,
    pixel_interval_features,
)
from workers.rppg.evidence import Evidence
from workers.rppg.presence import PresenceModel, features

Array = NDArray[np.float64]

#: A rate is right within this many beats a minute, or this share of the truth: what varies has no sharper rate.
RIGHT_PER_MIN: Final = 7.5
RIGHT_SHARE: Final = 0.05
#: Kinds in which a part of the face does pulse: neither right nor wrong to hear it.
UNDECIDED: Final = frozenset({"covered", "half_covered", "masked", "face_leaves", "two_faces"})
#: How far above the likeliest of everything without a pulse the threshold lies, in log odds.
MARGIN: Final = 1.0

#: Level of the interval.
LEVEL: Final = 0.9

_RIDGE: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Film, fit, report."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.gate", description=__doc__)
    parser.add_argument("--live", type=int, default=240)
    parser.add_argument("--negatives", type=int, default=240)
    parser.add_argument("--journal", type=Path, default=Path("bench-out/calibration-rows.jsonl"))
    parser.add_argument("--clips", type=Path, default=Path("bench-out/clips"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--models-dir", type=Path, default=Path(".facevitals/models"))
    parser.add_argument("--fit-only", action="store_true", help="film nothing; fit to what the journal holds")
    parser.add_argument("--write", action="store_true", help="renew the gate in workers/rppg/calibration.json")
    options = parser.parse_args(arguments)
    if options.fit_only:
        found = read_rows(options.journal)
    else:
        chosen = list(specs(options.live, options.negatives, CALIBRATION_SEED, PULSELESS))
        found = list(rows(chosen, options.models_dir, options.clips, options.journal, options.processes))
    report: dict[str, Any] = {"clips": len(found)}
    models_of: dict[str, PresenceModel] = {}
    for name, alone in (("presence", False), ("presence_alone", True)):
        models_of[name], report[name] = fit(found, alone=alone)
    pixel_interval, report["pixel_interval"] = fit_interval(found)
    if options.write:
        path = Path(str(files("workers.rppg") / "calibration.json"))
        document = json.loads(path.read_text("utf-8"))
        document["gate"] |= {name: _rounded(model) for name, model in models_of.items()}
        document["pixel_interval"] = {name: round(value, 4) for name, value in asdict(pixel_interval).items()}
        document["gate_made_by"] = {"command": "python -m lab.calibrate.gate --write", "clips": len(found)}
        path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def fit(found: Sequence[Row], *, alone: bool) -> tuple[PresenceModel, dict[str, Any]]:
    """The model, and what it is worth on clips that were left out in turn."""
    examples = [example for row in found if (example := _example(row, alone=alone)) is not None]
    x = np.array([values for values, _ in examples])
    y = np.array([float(right) for _, right in examples])
    if alone:
        x[:, 2] = 0.0
    left_out = np.array([x[i] @ _regression(np.delete(x, i, 0), np.delete(y, i)) for i in range(len(y))])
    least = max(float(left_out[y == 0].max()) + MARGIN, 0.0)
    weights = _regression(x, y)
    report = {
        "right": int(y.sum()),
        "wrong": int((1 - y).sum()),
        "right accepted": round(float((left_out[y == 1] >= least).mean()), 3),
        "least log odds": round(least, 2),
        "likeliest wrong": [round(value, 2) for value in sorted(left_out[y == 0])[-5:]],
    }
    names = [field.name for field in dataclass_fields(PresenceModel)][:-1]
    found_weights = {name: float(value) for name, value in zip(names, weights, strict=True)}
    return PresenceModel(**found_weights, least=least), report


def fit_interval(found: Sequence[Row]) -> tuple[PixelIntervalModel, dict[str, Any]]:
    """The interval of a rate read from pixels, and whether it holds on clips left out in tenths."""
    told = [row for row in found if row["conditions"]["kind"] == "live" and row["vitals"]["heart_rate"]["value"]]
    x = np.array([pixel_interval_features(*_read(row)) for row in told])
    error = np.array([abs(row["vitals"]["heart_rate"]["value"] - row["truth"]["heart_rate"]) for row in told])
    target = np.log(error + LEAST_ERROR_PER_MIN)

    def fitted(chosen: NDArray[np.bool_]) -> Array:
        return np.array(quantile_regression(x[chosen], target[chosen], np.full(chosen.sum(), 1 / chosen.sum()), LEVEL))

    tenth = np.random.default_rng(0).permutation(len(told)) % 10
    width = np.zeros(len(told))
    for index in range(10):
        width[tenth == index] = np.exp(x[tenth == index] @ fitted(tenth != index))
    report = {"clips": len(told), "interval coverage": round(float((error <= width).mean()), 3)}
    return PixelIntervalModel(*(float(value) for value in fitted(np.ones(len(told), np.bool_)))), report


def _read(part: Row) -> tuple[Evidence, Agreement]:
    """Evidence and agreement, from the row's plain values."""
    agreement = {**part["agreement"], "members": tuple(part["agreement"]["members"])}
    return Evidence(**part["evidence"]), Agreement(**agreement)


def _example(row: Row, *, alone: bool) -> tuple[Array, bool] | None:
    """Features of one clip, and whether its rate is right; None for what tells nothing."""
    part = row.get("alone" if alone else "thorough")
    kind = row["conditions"]["kind"]
    if not part or "evidence" not in part or kind in UNDECIDED:
        return None
    evidence, agreement = _read(part)
    if (not alone and evidence.neural_snr_db is None) or _lamp(evidence):
        return None
    truth = row["truth"]["heart_rate"]
    right = kind == "live" and abs(agreement.rate_per_min - truth) <= max(RIGHT_PER_MIN, RIGHT_SHARE * truth)
    return features(evidence, agreement), right


def _lamp(evidence: Evidence) -> bool:
    """What the rule for lamps settles before anybody asks for a pulse."""
    gate = CALIBRATION.gate
    if evidence.background_snr_db is None or evidence.background_share is None:
        return False
    return evidence.background_snr_db > gate.lamp_snr_db and evidence.background_share > gate.lamp_share


def _regression(x: Array, y: Array) -> Array:
    """Ridge logistic regression by Newton's method on standardised features; weights (k,) for features as they are."""
    middle, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1.0
    middle[0], spread[0] = 0.0, 1.0
    z = (x - middle) / spread
    penalty = _RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 1e-2
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ weights))
        hessian = z.T @ (z * (p * (1 - p))[:, None]) + penalty
        step = np.linalg.solve(hessian, z.T @ (y - p) - penalty @ weights)
        weights += step
        if float(np.abs(step).max()) < 1e-8:
            break
    natural = weights / spread
    natural[0] = weights[0] - float((weights[1:] * middle[1:] / spread[1:]).sum())
    return np.asarray(natural, np.float64)


def _rounded(model: PresenceModel) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(model).items()}


if __name__ == "__main__":
    sys.exit(main())
