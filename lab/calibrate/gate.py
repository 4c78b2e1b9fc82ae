"""`python -m lab.calibrate.gate`: fit the pulse gate to simulated clips, living and negative.

Renders the clips of the calibration seeds (hours; it continues where it stopped). Fits a logistic regression with
networks, without them, and to the colour estimators alone, and sets the least log odds above everything without a
pulse, each clip being judged by a model that was fitted without it. With `--write`, renews the gate in
`workers/rppg/fusion/calibration.json`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.calibrate.document import renewed_document
from lab.calibrate.fit import quantile_regression
from lab.data.measured_clips import Row, read_rows, rows
from lab.data.vitals_clips import CALIBRATION_SEED, PULSELESS, specs
from shared.vitals import Reason
from workers.rppg.fusion.agreement import Agreement
from workers.rppg.fusion.evidence import Evidence
from workers.rppg.fusion.gate import GATE
from workers.rppg.fusion.pulse_presence import PresenceModel, features
from workers.rppg.vitals.heart_rate import MIN_ERROR_PER_MIN, PixelIntervalModel, pixel_interval_features

#: A rate is right within this many beats a minute, or this share of the truth.
RIGHT_PER_MIN: Final = 7.5
RIGHT_SHARE: Final = 0.05
#: Kinds in which part of the face pulses: a rate is neither right nor wrong.
UNDECIDED: Final = frozenset({"covered", "half_covered", "masked", "face_leaves", "two_faces"})
#: Reasons of checks that refuse a clip before the gate does.
_REFUSED: Final = frozenset({Reason.TIMING_GAPS, Reason.MOTION})
#: Margin of the threshold over the highest log odds of any clip without a pulse. With half as many clips it was 1.5:
#: the maximum of twice as many is higher by about log 2, as tails of log odds fall off. It stays at 1.5 where networks
#: can still be run: a refusal then costs only time, and with 1.0 the second harmonic of a slow pulse was reported.
MARGINS: Final = {"networks": 1.0, "alone": 1.5, "colours": 1.5}
#: The gate's models of pulse presence, and the part of a row that each is fitted to.
INPUTS: Final = {"presence": "networks", "presence_patches": "alone", "presence_alone": "colours"}

#: Distance of the least PBV contrast of blood from the mean of lamps, in standard deviations of lamps.
LAMP_DEVIATIONS: Final = 4.0

#: Level of the interval.
LEVEL: Final = 0.9

_RIDGE: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Render, fit, print the report as JSON."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.gate", description=__doc__)
    parser.add_argument("--live", type=int, default=240)
    parser.add_argument("--negatives", type=int, default=480)
    parser.add_argument("--journal", type=Path, default=Path("bench-out/calibration-rows.jsonl"))
    parser.add_argument("--clips", type=Path, default=Path("bench-out/clips"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--models-dir", type=Path, default=Path(".facevitals/models"))
    parser.add_argument(
        "--refit-alone",
        action="store_true",
        help="new weights for the regions' colours alone; the liveness check uses them, so fit it again as well "
        "(python -m lab.calibrate.liveness_weights)",
    )
    parser.add_argument("--fit-only", action="store_true", help="render nothing; fit to the rows of the journal")
    parser.add_argument("--write", action="store_true", help="renew the gate in workers/rppg/fusion/calibration.json")
    options = parser.parse_args(arguments)
    if options.fit_only:
        found = read_rows(options.journal)
    else:
        chosen = list(specs(options.live, options.negatives, CALIBRATION_SEED, PULSELESS))
        found = list(rows(chosen, options.models_dir, options.clips, options.journal, options.processes))
    report: dict[str, Any] = {"clips": len(found)}
    models_of: dict[str, PresenceModel] = {}
    for name, inputs in INPUTS.items():
        held = GATE.presence_alone if inputs == "colours" and not options.refit_alone else None
        models_of[name], report[name] = fit(found, inputs, held=held)
    pixel_interval, report["pixel_interval"] = fit_pixel_interval(found)
    min_pbv_contrast, report["min_pbv_contrast"] = fit_pbv_contrast(found)
    if options.write:
        with renewed_document() as document:
            document["gate"] |= {name: _rounded(model) for name, model in models_of.items()}
            document["gate"]["min_pbv_contrast"] = round(min_pbv_contrast, 3)
            document["pixel_interval"] = {name: round(value, 4) for name, value in asdict(pixel_interval).items()}
            document["gate_made_by"] = {
                "command": "python -m lab.calibrate.gate --write" + (" --refit-alone" if options.refit_alone else ""),
                "clips": len(found),
            }
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def fit(
    found: Sequence[Row], inputs: str, *, held: PresenceModel | None = None
) -> tuple[PresenceModel, dict[str, Any]]:
    """Fit the model for `inputs` (a value of `INPUTS`), and report its accuracy on clips that were left out in turn.

    `held` is a model whose weights are kept, so that only its least log odds is fitted. With networks a clip is an
    example after each stage of the cascade that runs one.
    """
    examples = [(row["seed"], *example) for row in found for example in _examples(row, inputs)]
    clip = np.array([seed for seed, *_ in examples])
    x = np.array([values for _, values, _ in examples])
    y = np.array([float(right) for *_, right in examples])
    names = [field.name for field in dataclass_fields(PresenceModel)][:-1]
    left_out = np.zeros(len(y))
    if held is None:
        for seed in np.unique(clip):
            this = clip == seed
            left_out[this] = x[this] @ regression(x[~this], y[~this])
        weights = regression(x, y)
    else:
        weights = np.array([getattr(held, name) for name in names])
        left_out = x @ weights
    least = max(float(left_out[y == 0].max()) + MARGINS[inputs], 0.0)
    report = {
        "right": int(y.sum()),
        "wrong": int((1 - y).sum()),
        "right accepted": round(float((left_out[y == 1] >= least).mean()), 3),
        "least log odds": round(least, 2),
        "likeliest wrong": [round(value, 2) for value in sorted(left_out[y == 0])[-5:]],
    }
    found_weights = {name: float(value) for name, value in zip(names, weights, strict=True)}
    return PresenceModel(**found_weights, min_log_odds=least), report


def fit_pixel_interval(found: Sequence[Row]) -> tuple[PixelIntervalModel, dict[str, Any]]:
    """The interval of a rate estimated from pixels, and its coverage in tenfold cross-validation."""
    reported = [row for row in found if row["conditions"]["kind"] == "live" and row["vitals"]["heart_rate"]["value"]]
    x = np.array([pixel_interval_features(*_read(row)) for row in reported])
    error = np.array([abs(row["vitals"]["heart_rate"]["value"] - row["truth"]["heart_rate"]) for row in reported])
    target = np.log(error + MIN_ERROR_PER_MIN)

    def fitted(chosen: NDArray[np.bool_]) -> Floats:
        weights = np.full(chosen.sum(), 1 / chosen.sum())
        found = np.array(quantile_regression(x[chosen], target[chosen], weights, LEVEL))
        if found[1] < 0:
            # A noisier wave never narrows the interval: a negative coefficient comes from chance among few clips.
            found = np.insert(np.array(quantile_regression(x[chosen][:, [0, 2]], target[chosen], weights, LEVEL)), 1, 0)
        return found

    tenth = np.random.default_rng(0).permutation(len(reported)) % 10
    width = np.zeros(len(reported))
    for index in range(10):
        width[tenth == index] = np.exp(x[tenth == index] @ fitted(tenth != index))
    report = {"clips": len(reported), "interval coverage": round(float((error <= width).mean()), 3)}
    return PixelIntervalModel(*(float(value) for value in fitted(np.ones(len(reported), np.bool_)))), report


def fit_pbv_contrast(found: Sequence[Row]) -> tuple[float, dict[str, Any]]:
    """The gate's `min_pbv_contrast`, and a report on the PBV contrast of lamps and of living people."""
    parts = [(row["conditions"]["kind"], part) for row in found for part in row.get("networks", ())]
    contrast = {
        chosen: np.array(
            [part["evidence"]["pbv_contrast"] for kind, part in parts if kind == chosen and _has_pbv_contrast(part)]
        )
        for chosen in ("flicker", "live")
    }
    lamps = contrast["flicker"]
    least = float(lamps.mean() + LAMP_DEVIATIONS * lamps.std())
    report = {
        "lamps": {"count": len(lamps), "mean": round(float(lamps.mean()), 3), "max": round(float(lamps.max()), 3)},
        "living above": [int((contrast["live"] >= least).sum()), len(contrast["live"])],
        "least": round(least, 3),
    }
    return least, report


def _has_pbv_contrast(part: Row) -> bool:
    return part["evidence"].get("pbv_contrast") is not None


def _read(part: Row) -> tuple[Evidence, Agreement]:
    """Evidence and agreement from the row's plain values."""
    agreement = {**part["agreement"], "members": tuple(part["agreement"]["members"])}
    return Evidence(**part["evidence"]), Agreement(**agreement)


def _examples(row: Row, inputs: str) -> Iterator[tuple[Floats, bool]]:
    """Features of a row's clip, and whether its rate is right; none for clips that are neither right nor wrong."""
    kind, truth = row["conditions"]["kind"], row["truth"]["heart_rate"]
    if inputs not in row or kind in UNDECIDED:
        return
    for part in row[inputs] if inputs == "networks" else [row[inputs]]:
        evidence, agreement = _read(part)
        if not _refused_before(row, evidence, agreement):
            right = kind == "live" and abs(agreement.rate_per_min - truth) <= max(RIGHT_PER_MIN, RIGHT_SHARE * truth)
            yield features(evidence, agreement), right


def _refused_before(row: Row, evidence: Evidence, agreement: Agreement) -> bool:
    """Whether a check or another rule of the gate refuses before the model is applied."""
    gate, reason = GATE, row["vitals"]["heart_rate"].get("reason")
    refused = (
        gate.background_flickers(evidence)
        or gate.half_stands_out(evidence)
        or gate.lacks_independent_support(evidence, agreement)
    )
    return refused or reason in _REFUSED


def regression(x: Floats, y: Floats) -> Floats:
    """Weights (k,) for features (n, k) and labels (n,); none is below 0 but the constant's.

    More of a feature never counts against a pulse; where a fit gives the opposite, it is chance.
    """
    used = np.ones(x.shape[1], np.bool_)
    while True:
        weights = np.zeros(x.shape[1])
        weights[used] = _free_regression(x[:, used], y)
        against = weights[1:] < 0
        if not against.any():
            return weights
        used[1 + int(np.argmin(weights[1:]))] = False


def _free_regression(x: Floats, y: Floats) -> Floats:
    """Ridge logistic regression by Newton's method on standardised features; weights (k,) for the raw features."""
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
