"""`python -m lab.calibrate.respiration`: fit the respiration rate's threshold and interval to clips of the world.

Fits to the table in the repository; with `--rows` the table is made anew from folders of kept clips:

    python -m lab.render.measured --renderer warp --seed 31 --count 24 --people fitted --portraits DIR --ppg FILE ROWS
    python -m lab.calibrate.respiration --rows ROWS… --write

Prints how the fit does on people that were left out, by stratum. With `--write`, renews the section in
`workers/rppg/fusion/calibration.json`, and the table. With `--judge`, judges the calibration as it is on other rows.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.calibrate.document import renewed_document
from lab.calibrate.people import judged_by_others
from lab.calibrate.quantiles import conformal_quantiles
from lab.calibrate.respiration_table import TABLE, Example, examples_of, read, save
from workers.rppg.vitals.respiration_rate import INTERVAL_LEVEL, MODEL, RespirationModel, interval_features, refusal

#: A reported rate that is off by more than this many breaths a minute is wrong.
WRONG_PER_MIN: Final = 4.0
#: Step of the threshold of the prominence.
_STEP: Final = 0.25
#: Smallest error whose logarithm is taken, /min: the step of the rates.
_MIN_ERROR: Final = 0.1


@dataclass(frozen=True)
class Judged:
    """An example, and whether its rate is reported by a model that was fitted without its person."""

    example: Example
    model: RespirationModel

    @property
    def reported(self) -> bool:
        """Whether the rate is reported."""
        return is_reported(self.example, self.model)

    @property
    def held(self) -> bool:
        """Whether the interval contains the true rate."""
        return self.example.error_per_min <= self.model.half_width_per_min(self.example.breathing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print the report as JSON; with `--write`, renew the calibration."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.respiration", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, nargs="+", help="folders of kept clips; by default the table is read")
    parser.add_argument("--write", action="store_true", help="renew workers/rppg/fusion/calibration.json")
    parser.add_argument("--judge", type=Path, nargs="+", help="folders of kept clips to judge, without a fit")
    options = parser.parse_args(arguments)
    if options.judge:
        report: dict[str, Any] = figures([Judged(example, MODEL) for example in examples_of(options.judge)])
    else:
        examples = list(examples_of(options.rows)) if options.rows else read()
        model = fit(examples)
        report = {
            "examples": len(examples),
            "people": len({example.portrait for example in examples}),
            "left out by people": figures(left_out_by_people(examples)),
        }
        if options.write:
            if options.rows:
                save(examples, TABLE)
            with renewed_document() as document:
                document["respiration"] = asdict(model)
                made_by = {"command": "python -m lab.calibrate.respiration --write", "report": report}
                document["respiration_made_by"] = made_by
        report["fitted"] = asdict(model)
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def is_reported(example: Example, model: RespirationModel) -> bool:
    """Whether the product reports the rate of an example by this model."""
    if not example.measured:
        return False
    sway = None if np.isnan(example.sway) else example.sway
    return refusal(example.breathing, example.checks, alive=example.pulse_known, sway=sway, model=model) is None


def fit(examples: Sequence[Example]) -> RespirationModel:
    """Fit threshold and interval."""
    least = fit_prominence(examples)
    open_width = RespirationModel(least, (0.0, 0.0, 0.0))
    right = [one for one in examples if is_reported(one, open_width) and one.error_per_min <= WRONG_PER_MIN]
    return RespirationModel(least, fit_interval(right))


def fit_prominence(examples: Sequence[Example]) -> float:
    """Return the least threshold from which on no reported rate of the living is wrong."""
    anything = RespirationModel(0.0, (0.0, 0.0, 0.0))
    living = [one for one in examples if one.alive and is_reported(one, anything)]
    worst = max((one.prominence for one in living if one.error_per_min > WRONG_PER_MIN), default=0.0)
    return _STEP * (math.floor(worst / _STEP) + 1)


def fit_interval(right: Sequence[Example]) -> tuple[float, float, float]:
    """Fit the interval to the logarithm of the absolute error of right rates, so that it holds for other people."""
    rows = np.array([interval_features(one.breathing) for one in right])
    target = np.log(np.maximum([one.error_per_min for one in right], _MIN_ERROR))
    model, _ = conformal_quantiles(rows, target, [one.portrait for one in right], INTERVAL_LEVEL)
    level, shortness, irregularity = np.round(model, 3).tolist()
    return level, shortness, irregularity


def left_out_by_people(examples: Sequence[Example]) -> list[Judged]:
    """Judge each example by a model that was fitted to other people."""
    return judged_by_others(examples, fit, Judged)


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Coverage, errors and intervals of whole clips and of cuts, by stratum."""
    report: dict[str, Any] = {}
    for kind, whole in (("clips", True), ("cuts", False)):
        chosen = [one for one in judged if one.example.whole == whole]
        for name in (*sorted({one.example.stratum for one in chosen}), "living", "lifeless"):
            found = [one for one in chosen if name in _groups(one.example)]
            ok = [one for one in found if one.reported]
            seen = sum(one.example.seen for one in found)
            row: dict[str, Any] = {"count": len(found), "chest seen": seen, "reported": len(ok)}
            if ok and all(one.example.alive for one in found):
                error = np.array([one.example.error_per_min for one in ok])
                width = np.array([one.model.half_width_per_min(one.example.breathing) for one in ok])
                row |= {
                    "coverage": round(len(ok) / seen, 3),
                    "mae": round(float(error.mean()), 2),
                    "wrong": int((error > WRONG_PER_MIN).sum()),
                    "held": round(float(np.mean([one.held for one in ok])), 3),
                    "median half-width": round(float(np.median(width)), 2),
                }
            report[f"{kind}, {name}"] = row
    return report


def _groups(example: Example) -> set[str]:
    """Names of the groups of an example; rare hearts are not among the living, as in `lab.bench.trust`."""
    if not example.alive:
        return {example.stratum, "lifeless"}
    return {example.stratum} if example.stratum == "rare" else {example.stratum, "living"}


if __name__ == "__main__":
    sys.exit(main())
