"""Agreement of measured values with references: errors, limits of agreement, bounds on a share, risk and coverage.

Windows of one person are no independent measurements: intervals of errors are bootstrapped over people, and limits of
agreement account for repeated measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import beta

from lab.arrays import Floats

#: Bootstrap resamples, and the level of their intervals.
RESAMPLES: Final = 2000
LEVEL: Final = 0.95


@dataclass(frozen=True)
class Errors:
    """Errors of n values against their references.

    mae, rmse      mean absolute error and root mean square error
    mae_interval   95 % interval of `mae` over groups of people like these; None for fewer than two people
    within         share of errors of at most the tolerance
    wrong          number of errors above the tolerance; `wrong_upper` the one-sided 95 % upper bound of their share
    pearson        correlation of values and references; None where one of them does not vary
    bias           mean error (value minus reference); `limits` the 95 % limits of agreement, None for one value
    """

    n: int
    mae: float
    mae_interval: tuple[float, float] | None
    rmse: float
    within: float
    wrong: int
    wrong_upper: float
    pearson: float | None
    bias: float
    limits: tuple[float, float] | None


def errors_of(values: Floats, references: Floats, subjects: Sequence[str], tolerance: float) -> Errors | None:
    """Errors of values (n,) of these subjects (n,) against references (n,); None without values."""
    if not len(values):
        return None
    error = values - references
    off = np.abs(error)
    # Values are rounded, so a tolerance is met within the rounding of floats.
    wrong = int((off > tolerance + 1e-9).sum())
    varied = len(values) > 2 and min(float(values.std()), float(references.std())) > 1e-9
    return Errors(
        n=len(values),
        mae=float(off.mean()),
        mae_interval=bootstrap_mean(off, subjects),
        rmse=float(np.sqrt((error**2).mean())),
        within=1 - wrong / len(values),
        wrong=wrong,
        wrong_upper=upper_bound(wrong, len(values)),
        pearson=float(np.corrcoef(values, references)[0, 1]) if varied else None,
        bias=float(error.mean()),
        limits=limits_of_agreement(error, subjects),
    )


def bootstrap_mean(values: Floats, subjects: Sequence[str], seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of the mean of values (n,), people resampled with all of their values; None for one person.

    Efron, Tibshirani 1993, "An introduction to the bootstrap".
    """
    names, person = np.unique(subjects, return_inverse=True)
    if len(names) < 2:
        return None
    total, count = np.bincount(person, values), np.bincount(person)
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def limits_of_agreement(errors: Floats, subjects: Sequence[str]) -> tuple[float, float] | None:
    """95 % limits of agreement of errors (n,) of these subjects (n,): bias and 1.96 deviations; None for one.

    The variance is the sum of that between people and that within them, by one-way analysis of variance. Bland, Altman
    2007, "Agreement between methods of measurement with multiple observations per individual", Journal of
    Biopharmaceutical Statistics 17(4):571, section 3.
    """
    if len(errors) < 2:
        return None
    names, person = np.unique(subjects, return_inverse=True)
    count = np.bincount(person).astype(np.float64)
    mean = np.bincount(person, errors) / count
    bias, n, people = float(errors.mean()), len(errors), len(names)
    if people in {1, n}:
        variance = float(errors.var(ddof=1))
    else:
        within = float(((errors - mean[person]) ** 2).sum()) / (n - people)
        between = float((count * (mean - bias) ** 2).sum()) / (people - 1)
        size = (n - float((count**2).sum()) / n) / (people - 1)
        variance = within + max(0.0, (between - within) / size)
    spread = 1.96 * float(np.sqrt(variance))
    return bias - spread, bias + spread


def upper_bound(count: int, n: int, level: float = LEVEL) -> float:
    """One-sided upper bound, at `level`, of a share of which `count` of `n` are an observation.

    Clopper, Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26(4):404.
    """
    return 1.0 if count >= n else float(beta.ppf(level, count + 1, n - count))


def risk_coverage(confidence: Floats, off: Floats, tolerance: float) -> list[dict[str, float]]:
    """Risk at each coverage if windows were reported by confidence alone, the surest first.

    confidence  (n,)  of each window; -inf for those without a rate, which are never reported
    off         (n,)  absolute error of each window's rate

    Returns:
        For each coverage that can be reached, in order: the coverage, the share of errors above the tolerance, and the
        mean absolute error. At most a hundred, evenly spaced.
    """
    order = np.argsort(-confidence, kind="stable")
    order = order[np.isfinite(confidence[order])]
    if not len(order):
        return []
    number = np.arange(1, len(order) + 1)
    wrong = np.cumsum(off[order] > tolerance + 1e-9) / number
    mae = np.cumsum(off[order]) / number
    at = np.unique(np.linspace(0, len(order) - 1, min(100, len(order))).round().astype(int))
    return [
        {"coverage": float(number[i] / len(confidence)), "wrong": float(wrong[i]), "mae": float(mae[i])} for i in at
    ]
