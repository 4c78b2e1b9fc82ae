"""Accuracy of the fusion on people to whom it was not fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.arrays import Floats
from lab.calibrate.fit import fit_fusion, fit_interval
from lab.calibrate.table import RealClip, folds_by_subject
from workers.rppg.fusion.agreement import Agreement, agree

#: The baseline, plain agreement: `PLAIN_SUPPORT` of five estimates within `PLAIN_PER_MIN` beats a minute.
PLAIN_PER_MIN: Final = 4.0
PLAIN_SUPPORT: Final = 3

#: Bootstrap resamples.
RESAMPLES: Final = 2000


@dataclass(frozen=True)
class HeldOut:
    """For each clip (n,) by a model fitted without its subject: rate, confidence, half-width of the interval."""

    rate_per_min: Floats
    confidence: Floats
    half_width_per_min: Floats


def cross_validate(
    clips: Sequence[RealClip], confidence: float, level: float, folds: int = 5, seed: int = 0
) -> HeldOut:
    """Fuse each fold's clips by a model fitted to the other folds.

    Intervals are fitted to those clips whose confidence is at least `confidence`, and claim `level`.
    """
    fold = folds_by_subject(clips, folds, seed)
    truth = np.array([clip.rate_per_min for clip in clips])
    agreements: list[Agreement | None] = [None] * len(clips)
    for index in range(folds):
        fusion = fit_fusion([clip for clip, of in zip(clips, fold, strict=True) if of != index])
        for at in np.flatnonzero(fold == index).tolist():
            agreements[at] = agree(clips[at].estimates, fusion)
    agreed = [agreement for agreement in agreements if agreement is not None]
    rates = np.array([agreement.rate_per_min for agreement in agreed])
    confidences = np.array([agreement.confidence for agreement in agreed])
    half_widths = np.zeros(len(clips))
    for index in range(folds):
        chosen = np.flatnonzero((fold != index) & (confidences >= confidence)).tolist()
        model = fit_interval(
            [agreed[at] for at in chosen],
            [clips[at] for at in chosen],
            (rates - truth)[chosen],
            level,
        )
        for at in np.flatnonzero(fold == index).tolist():
            half_widths[at] = model.half_width_per_min(agreed[at], clips[at].duration_s, clips[at].movement)
    return HeldOut(rates, confidences, half_widths)


def plain_agreement(clip: RealClip) -> tuple[float, int]:
    """Median in /min and size of the largest group of estimates within `PLAIN_PER_MIN` of each other."""
    rates = sorted(estimate.rate_per_min for estimate in clip.estimates)
    groups = [[rate for rate in rates if low <= rate <= low + PLAIN_PER_MIN] for low in rates]
    best = max(groups, key=lambda group: (len(group), group[0] - group[-1]))
    return float(np.median(best)), len(best)


def at_coverage(errors: Floats, confidence: Floats, coverage: float) -> float:
    """Mean absolute error of the `coverage` share of clips (n,) with the highest confidence."""
    kept = np.argsort(-confidence, kind="stable")[: max(1, round(coverage * len(errors)))]
    return float(np.abs(errors[kept]).mean())


def resampled(inside: Floats, reported: Floats, subjects: Sequence[str]) -> tuple[float, float]:
    """90 % interval of the share `inside` (n,) of `reported` (n,) over groups of people like this one.

    People are resampled with all of their clips (Efron & Tibshirani 1993, "An introduction to the bootstrap").
    """
    names, person = np.unique(subjects, return_inverse=True)
    of_person = np.array([np.bincount(person, values, len(names)) for values in (inside, reported)])
    of_person = of_person[:, of_person[1] > 0]
    drawn = np.random.default_rng(0).integers(of_person.shape[1], size=(RESAMPLES, of_person.shape[1]))
    held, count = of_person[:, drawn].sum(axis=2)
    low, high = np.quantile(held / count, (0.05, 0.95))
    return float(low), float(high)
