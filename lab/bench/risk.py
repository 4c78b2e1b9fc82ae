"""Statistics of answers that may abstain: bounds, risk against coverage, interval scores."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from lab.arrays import Floats

#: Draws of a bootstrap.
DRAWS: Final = 2000


def upper_bound(wrong: int, count: int, level: float = 0.95) -> float:
    """One-sided upper bound of the share that is wrong, of which `wrong` of `count` were seen.

    Clopper & Pearson 1934, Biometrika 26:404.
    """
    return 1.0 if count in {0, wrong} else float(beta.ppf(level, wrong + 1, count - wrong))


def risk_area(score: Floats, off: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Area under the curve of the share of clips that are off, over coverage, the highest score (n,) first.

    Clips with one score are taken together: each stands for their mean. A clip's weight is how often it is counted.
    Geifman & El-Yaniv 2017, "Selective classification for deep neural networks", NeurIPS.
    """
    weights = np.ones(len(score)) if weights is None else weights
    _, group = np.unique(-score, return_inverse=True)
    count = np.bincount(group, weights)
    wrong = np.bincount(group, weights * off)
    count, wrong = count[count > 0], wrong[count > 0]
    before, before_wrong = np.cumsum(count) - count, np.cumsum(wrong) - wrong
    # Inside a group the order is unknown: half of it is before the middle one of its clips.
    risk = (before_wrong + wrong / 2) / np.maximum(before + count / 2, 1e-12)
    return float((risk * count).sum() / count.sum())


def difference_of_areas(
    ours: Floats, theirs: Floats, off: NDArray[np.bool_], off_theirs: NDArray[np.bool_], groups: Sequence[str]
) -> tuple[float, float, float]:
    """Our area less theirs, with a 95 % interval by bootstrap over groups (portraits)."""
    names, member = np.unique(np.array(groups), return_inverse=True)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        drawn = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        weights = drawn[member].astype(np.float64)
        found.append(risk_area(ours, off, weights) - risk_area(theirs, off_theirs, weights))
    low, high = np.percentile(found, [2.5, 97.5])
    return risk_area(ours, off) - risk_area(theirs, off_theirs), float(low), float(high)


def coverage_at(score: Floats, wrong: NDArray[np.bool_], allowed: int) -> float:
    """Largest share of clips that a threshold of `score` (n,) reports with at most `allowed` wrong ones."""
    best = 0
    for threshold in np.unique(score[np.isfinite(score)]):
        chosen = score >= threshold
        if int(wrong[chosen].sum()) <= allowed:
            best = max(best, int(chosen.sum()))
    return best / max(len(score), 1)


def winkler(low: Floats, high: Floats, truth: Floats, level: float = 0.9) -> float:
    """Mean interval score: width, and a fine of 2/(1 - level) times the distance by which the truth is missed.

    Winkler 1972, Journal of the American Statistical Association 67:187.
    """
    fine = 2 / (1 - level)
    missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.mean(high - low + fine * missed))


def best_constant_winkler(error: Floats, level: float = 0.9) -> float:
    """Interval score of the one half-width that would have served these errors (n,) best."""
    distance = np.abs(error)
    scores = [float(np.mean(2 * half + 2 / (1 - level) * np.maximum(distance - half, 0))) for half in distance]
    return min(scores)
