"""Fits to labelled portraits: the age curve, its interval, and the weights for gender."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize

from lab.arrays import Floats
from lab.data.labelled_portraits import OLDEST
from workers.vision.age_gender.age import INTERVAL_LEVEL
from workers.vision.age_gender.attribute_calibration import AgeCalibration, Line

#: Age from which on a person counts as an adult, years.
ADULT: Final = 20.0
#: Ages that a picture counts as, evenly spread over its band: the true age is anywhere in it.
_SPREAD: Final = 8
#: Knots of the age curve, in the network's years. The best of five sets that were tried on these portraits: held out,
#: adults are 2.7 to 3.1 years off the band.
KNOTS: Final = (8.0, 18.0, 28.0, 40.0, 55.0, 70.0)
#: Weight of a minor in the curve's fit, an adult's being 1 (1: adults 3.0 and minors 2.5 years off; 0.3: 2.7 and 3.6).
_MINOR: Final = 0.3
#: Weight of the penalty on slopes other than 1.
_STRAIGHT: Final = 0.1
_RIDGE: Final = 0.01
FOLDS: Final = 10
_REPEATS: Final = 5


@dataclass(frozen=True)
class PortraitLabels:
    """Labels of n pictures: age band from `low` to `high` in years (n,), and `male` (n,)."""

    low: Floats
    high: Floats
    male: NDArray[np.bool_]

    @property
    def adult(self) -> NDArray[np.bool_]:
        """Which pictures show a person of twenty or older (n,)."""
        return np.asarray(self.low >= ADULT)

    @property
    def middle(self) -> Floats:
        """Middle of the band in years (n,)."""
        return np.asarray((self.low + self.high) / 2)

    def of(self, chosen: NDArray[Any]) -> "PortraitLabels":
        """The labels of the pictures `chosen`, by index or mask (n,)."""
        return PortraitLabels(self.low[chosen], self.high[chosen], self.male[chosen])

    def off_band(self, ages: Floats) -> Floats:
        """Years from `ages` (n,) to the band; 0 beyond the open end of the last band."""
        high = np.where(self.high >= OLDEST, np.inf, self.high)
        return np.asarray(np.maximum(np.maximum(self.low - ages, ages - high), 0.0))

    def spread(self) -> Floats:
        """Ages (n, 8), evenly spread over each band."""
        parts = (np.arange(_SPREAD) + 0.5) / _SPREAD
        return np.asarray(self.low[:, None] + (self.high - self.low)[:, None] * parts)


def fit_age(raw: Floats, truth: PortraitLabels) -> AgeCalibration:
    """The curve that maps the network's `raw` ages (n,) closest to the bands, and its interval, fitted to all ages."""
    curve = tuple(zip(KNOTS, _curve(raw, truth).tolist(), strict=True))
    straight = AgeCalibration(curve, (0.0, 1.0), (0.0, 1.0), 0.0)
    ages = years(straight, raw)
    low, high = fit_age_interval(ages, truth)
    off = float(np.abs(ages - truth.middle)[truth.adult].mean())
    return AgeCalibration(curve, low, high, round(off, 1))


def years(calibration: AgeCalibration, raw: Floats) -> Floats:
    """The calibrated ages (n,)."""
    return np.asarray(calibration.years(raw.astype(np.float32)), np.float64)


def _curve(raw: Floats, truth: PortraitLabels) -> Floats:
    knots = np.array(KNOTS)
    steps = np.diff(knots)
    design = np.stack([np.interp(raw, knots, column) for column in np.eye(len(knots))], axis=1)
    weight = np.where(truth.adult, 1.0, _MINOR)
    weight = weight / weight.sum()
    high = np.where(truth.high >= OLDEST, np.inf, truth.high)

    def loss(increments: Floats) -> tuple[float, Floats]:
        values = np.cumsum(increments)
        ages = design @ values
        off = np.maximum(truth.low - ages, 0.0) - np.maximum(ages - high, 0.0)
        smooth = np.sqrt(off**2 + 1.0)
        aside = ages - truth.middle
        bend = np.diff(values) / steps - 1.0
        cost = weight @ (smooth - 1.0 + 0.001 * aside**2) + _STRAIGHT * float(np.mean(bend**2))
        slope = design.T @ (weight * (-off / smooth + 0.002 * aside))
        pull = 2 * _STRAIGHT * bend / len(bend) / steps
        slope[1:] += pull
        slope[:-1] -= pull
        return float(cost), np.cumsum(slope[::-1])[::-1]

    start = np.concatenate([[knots[0]], steps])
    bounds = [(0.0, None)] * len(knots)
    return np.asarray(np.cumsum(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x))


def fit_age_interval(ages: Floats, truth: PortraitLabels) -> tuple[Line, Line]:
    """Offset and slope, as functions of the estimated age, of the 5 % and 95 % quantiles of the true age.

    Koenker, Bassett 1978, "Regression quantiles", Econometrica 46(1):33.
    """
    tail = (1 - INTERVAL_LEVEL) / 2
    x, y = np.repeat(ages, _SPREAD), truth.spread().ravel()
    return _quantile(x, y, tail), _quantile(x, y, 1 - tail)


def _quantile(x: Floats, y: Floats, share: float) -> Line:
    n = len(x)
    design = np.column_stack([np.ones(n), x])
    cost = np.concatenate([np.zeros(4), np.full(n, share), np.full(n, 1 - share)])
    constraints = np.hstack([design, -design, np.eye(n), -np.eye(n)])
    answer = linprog(cost, A_eq=constraints, b_eq=y, bounds=(0, None), method="highs").x
    return float(answer[0] - answer[2]), float(answer[1] - answer[3])


def fit_gender(log_odds: Floats, male: NDArray[np.bool_]) -> Floats:
    """Weights of the models' log-odds (n, m) and a constant, (m + 1,), by logistic regression."""
    sign = np.where(male, 1.0, -1.0)
    design = np.column_stack([log_odds, np.ones(len(sign))])

    def loss(weights: Floats) -> float:
        # With a small ridge penalty two models that agree share the weight.
        return float(np.logaddexp(0.0, -sign * (design @ weights)).mean() + _RIDGE * float((weights[:-1] ** 2).sum()))

    return np.asarray(minimize(loss, np.zeros(design.shape[1])).x)


def folds(count: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs (training indices, fold indices) of tenfold cross-validation, repeated five times in other orders."""
    pairs = []
    for seed in range(_REPEATS):
        order = np.random.default_rng(seed).permutation(count)
        pairs += [(np.setdiff1d(order, order[fold::FOLDS]), order[fold::FOLDS]) for fold in range(FOLDS)]
    return pairs
