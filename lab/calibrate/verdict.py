"""`python -m lab.calibrate.verdict`: fit the verdict on the heart rate, and its intervals, to clips of the world.

Fits to the table in the repository (about a minute); with `--rows` the table is made anew from folders of kept clips:

    python -m lab.render.measured --renderer warp --seed 31 --count 24 --people fitted --portraits DIR --ppg FILE ROWS
    python -m lab.calibrate.verdict --rows ROWS… --write

Prints how the fit does on people that were left out, and by the renderer that was left out. With `--write`, renews the
verdict in `workers/rppg/fusion/calibration.json`, and the table.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from lab.arrays import Floats
from lab.calibrate.document import renewed_document
from lab.calibrate.people import judged_by_others
from lab.calibrate.quantiles import conformal_quantiles
from lab.calibrate.verdict_table import TABLE, Example, examples_of, read, save
from workers.rppg.fusion.evidence import CURVES, RATES_PER_MIN
from workers.rppg.fusion.gate import MIN_PROBABILITY, is_lit, is_moved
from workers.rppg.fusion.verdict import Verdict, VerdictModel, features_of_belief
from workers.rppg.signals.beats import mean_rate_per_min
from workers.rppg.signals.traces import GRID_HZ
from workers.rppg.vitals.heart_rate import INTERVAL_LEVEL, IntervalModel, interval_features

#: A reported rate that is off by more than this many beats a minute is wrong.
WRONG_PER_MIN: Final = 5.0
#: Strength of the ridge on weights of standardised curves: of 0.5, 2 and 8 none does better than another.
RIDGE: Final = 2.0
#: Weight of a cut, that of a whole clip being 1.
CUT_WEIGHT: Final = 0.5
#: Weight of a clip without a pulse in the fit of the probability: a heart rate of a picture is worse than an error.
LIFELESS_WEIGHT: Final = 3.0


@dataclass(frozen=True)
class Judged:
    """A verdict on an example by a model that was fitted without it."""

    example: Example
    verdict: Verdict

    @property
    def counted_per_min(self) -> float:
        """The rate as it would be reported."""
        return mean_rate_per_min(self.example.evidence.wave, GRID_HZ, self.verdict.rate_per_min)

    @property
    def error_per_min(self) -> float:
        """Its absolute error; infinite without a pulse."""
        error = abs(self.counted_per_min - self.example.rate_per_min)
        return error if self.example.alive else float("inf")

    @property
    def wrong(self) -> bool:
        """Whether it would be wrong to report it."""
        return self.error_per_min > WRONG_PER_MIN

    @property
    def weighed(self) -> bool:
        """Whether the verdict decides about it: neither light nor motion explains it."""
        evidence = self.example.evidence
        return not is_lit(evidence, self.verdict.rate_per_min) and not is_moved(evidence, self.verdict.rate_per_min)

    @property
    def reported(self) -> bool:
        """Whether it is reported."""
        return self.weighed and self.verdict.probability >= MIN_PROBABILITY

    @property
    def features_of_belief(self) -> Floats:
        """The features of its probability."""
        return features_of_belief(self.verdict.belief, self.example.evidence.duration_s)

    def by(self, model: VerdictModel) -> "Judged":
        """The same with the probability that `model` gives its belief."""
        log_odds = model.log_odds(self.verdict.belief, self.example.evidence.duration_s)
        return replace(self, verdict=replace(self.verdict, probability=float(expit(log_odds))))

    def interval_features(self) -> Floats:
        """The features of its interval."""
        return interval_features(self.verdict, self.example.evidence.duration_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print the report as JSON; with `--write`, renew the calibration."""
    parser = argparse.ArgumentParser(prog="python -m lab.calibrate.verdict", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, nargs="+", help="folders of kept clips; by default the table is read")
    parser.add_argument("--write", action="store_true", help="renew workers/rppg/fusion/calibration.json")
    options = parser.parse_args(arguments)
    examples = list(examples_of(options.rows)) if options.rows else read()
    if options.rows and options.write:
        save(examples, TABLE)
    people = left_out_by_people(examples)
    model = with_probability(fit(examples), people)
    people = [one.by(model) for one in people]
    interval, width = fit_interval([one for one in people if one.reported])
    report = {
        "examples": len(examples),
        "clips": sum(example.whole for example in examples),
        "people": len({example.portrait for example in examples}),
        "left out by people": figures(people),
        "left out by renderer": {
            renderer: figures([one.by(model) for one in left_out_by_renderer(examples, renderer)])
            for renderer in sorted({example.renderer for example in examples})
        },
        "intervals, left out by people": width,
    }
    if options.write:
        with renewed_document() as document:
            document["verdict"] = asdict(model)
            document["interval"] = {name: round(value, 4) for name, value in asdict(interval).items()}
            document["verdict_made_by"] = {"command": "python -m lab.calibrate.verdict --write", "report": report}
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def fit(examples: Sequence[Example]) -> VerdictModel:
    """Fit the weights by maximum likelihood, with a ridge on those of standardised curves.

    The outcome of an example is a rate within its resolution of the true one, or no pulse where there is none.
    """
    curves = np.array([example.evidence.curves for example in examples])
    truth = np.array([example.rate_per_min if example.alive else np.inf for example in examples])
    weight = np.array([1.0 if example.whole else CUT_WEIGHT for example in examples])
    near = np.array([[example.evidence.resolution_per_min] for example in examples])
    outcomes = np.zeros((len(examples), len(RATES_PER_MIN) + 1))
    distance = np.abs(RATES_PER_MIN - truth[:, None])
    # A rate beyond the band is nearest to its edge.
    outcomes[:, :-1] = (distance <= np.maximum(near, distance.min(axis=1, keepdims=True))) & np.isfinite(distance)
    outcomes[:, -1] = np.isinf(truth)
    centre, spread = curves.mean(axis=(0, 2)), curves.std(axis=(0, 2))
    scaled = (curves - centre[:, None]) / spread[:, None]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, constant = parameters[:-1], np.full((len(examples), 1), parameters[-1])
        scores = np.column_stack((np.einsum("k,ekg->eg", weights, scaled), constant))
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        total, true = odds.sum(axis=1), (odds * outcomes).sum(axis=1)
        value = -float(weight @ np.log(true / total)) + RIDGE / 2 * float(weights @ weights)
        change = weight[:, None] * (odds / total[:, None] - odds * outcomes / true[:, None])
        slopes = np.einsum("eg,ekg->k", change[:, :-1], scaled) + RIDGE * weights
        return value, np.append(slopes, change[:, -1].sum())

    found = minimize(loss, np.zeros(len(CURVES) + 1), jac=True, method="L-BFGS-B").x
    weights = found[:-1] / spread
    return VerdictModel(
        weights={name: round(float(value), 4) for name, value in zip(CURVES, weights, strict=True)},
        # What the rates have too much by the curves' centres, which are the same for all of them.
        no_pulse=round(float(found[-1] + weights @ centre), 4),
        offset=0.0,
        scale=1.0,
        shortness=0.0,
    )


def with_probability(model: VerdictModel, judged: Sequence[Judged]) -> VerdictModel:
    """Return the model with the probability that fits how often left-out verdicts were right (logistic regression)."""
    weighed = [one for one in judged if one.weighed]
    rows = np.array([one.features_of_belief for one in weighed])
    wrong = np.array([one.wrong for one in weighed])
    weight = np.array([1.0 if one.example.alive else LIFELESS_WEIGHT for one in weighed])

    def loss(weights: Floats) -> float:
        found = rows @ weights
        return float(weight @ np.logaddexp(0, np.where(wrong, found, -found)))

    offset, scale, shortness = (round(float(value), 4) for value in minimize(loss, np.array([0.0, 1.0, 0.0])).x)
    return replace(model, offset=offset, scale=scale, shortness=shortness)


def left_out_by_people(examples: Sequence[Example]) -> list[Judged]:
    """Judge each example by a model fitted to other people."""
    return judged_by_others(examples, fit, lambda one, model: Judged(one, model.judge(one.evidence)))


def left_out_by_renderer(examples: Sequence[Example], renderer: str) -> list[Judged]:
    """Judge each example of a renderer by a model fitted to the other's clips of other people."""
    ours = [example for example in examples if example.renderer == renderer]
    fold_of = {name: at % 2 for at, name in enumerate(sorted({example.portrait for example in examples}))}
    judged: list[Judged] = []
    for half in (0, 1):
        others = [one for one in examples if one.renderer != renderer and fold_of[one.portrait] != half]
        model = fit(others)
        judged += [Judged(one, model.judge(one.evidence)) for one in ours if fold_of[one.portrait] == half]
    return judged


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """Coverage and wrong answers of whole clips and of cuts, by stratum."""
    report: dict[str, Any] = {}
    for kind, whole in (("clips", True), ("cuts", False)):
        chosen = [one for one in judged if one.example.whole == whole]
        for name in (*sorted({one.example.stratum for one in chosen}), "living", "lifeless"):
            found = [
                one for one in chosen if name in {one.example.stratum, "living" if one.example.alive else "lifeless"}
            ]
            reported = [one for one in found if one.reported]
            report[f"{kind}, {name}"] = {
                "count": len(found),
                "likeliest is right": sum(not one.wrong for one in found),
                "reported": len(reported),
                "wrong": sum(one.wrong for one in reported),
            }
    return report


def fit_interval(judged: Sequence[Judged]) -> tuple[IntervalModel, dict[str, Any]]:
    """Fit the interval to the logarithm of the absolute error of right answers, so that it holds for other people."""
    right = [one for one in judged if not one.wrong]
    rows = np.array([one.interval_features() for one in right])
    target = np.log(np.array([one.error_per_min for one in right]) + 0.01)
    model, holds = conformal_quantiles(rows, target, [one.example.portrait for one in right], INTERVAL_LEVEL)
    whole = np.array([one.example.whole for one in right])
    held = {
        kind: round(float(np.mean(holds[chosen])), 3)
        for kind, chosen in (("clips", whole), ("cuts", ~whole))
        if chosen.any()
    }
    half = np.exp(rows @ model)
    return IntervalModel(*model.tolist()), {
        "count": len(right),
        "held": held,
        "median half-width": round(float(np.median(half)), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
