"""Fit the fusion's model of each estimator, and the width of the interval, to clips whose rate is known."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from lab.calibrate.table import RealClip, dataset_weights
from workers.rppg.agreement import KNOTS_PER_MIN, Agreement, Fusion, Reliability, hit_density
from workers.rppg.calibration import LEAST_ERROR_PER_MIN, IntervalModel, interval_features

Array = NDArray[np.float64]

#: Weight of one vote among five: the value of 0.3, 0.4, 0.5, 0.6 with the lowest error of accepted clips, held out.
VOTE_WEIGHT: Final = 0.4

_EM_ROUNDS: Final = 40
_SMALLEST_SCALE_PER_MIN: Final = 0.15
_DENSITY_FLOOR: Final = 1e-5


def fit_fusion(clips: Sequence[RealClip]) -> Fusion:
    """Expectation-maximisation for each estimator: which answers followed the pulse, how closely, and what the rest
    said.
    """
    weights = dataset_weights(clips)
    truth = np.array([clip.rate_per_min for clip in clips])
    names = sorted({estimate.name for clip in clips for estimate in clip.estimates})
    return Fusion(
        weight=VOTE_WEIGHT,
        prior=_density(truth, weights, bandwidth=12.0),
        reliabilities={name: _reliability(name, clips, truth, weights) for name in names},
    )


def fit_interval(
    agreements: Sequence[Agreement], clips: Sequence[RealClip], errors_per_min: Array, level: float
) -> IntervalModel:
    """Quantile regression of the logarithm of the absolute error, every clip counting the same."""
    rows = np.array(
        [
            interval_features(agreement, clip.duration_s, clip.movement)
            for agreement, clip in zip(agreements, clips, strict=True)
        ]
    )
    target = np.log(np.abs(errors_per_min) + LEAST_ERROR_PER_MIN)
    return IntervalModel(*quantile_regression(rows, target, np.full(len(rows), 1 / len(rows)), level))


def quantile_regression(rows: Array, target: Array, weights: Array, level: float) -> tuple[float, ...]:
    """Coefficients (k,) for rows (n, k) below whose product a `level` of the targets (n,) lies (Koenker & Bassett
    1978).
    """
    count, width = rows.shape
    # As a linear programme: coefficients split by sign, residuals split by sign, pinball loss on the residuals.
    cost = np.concatenate((np.zeros(2 * width), level * weights, (1 - level) * weights))
    equal = np.hstack((rows, -rows, np.eye(count), -np.eye(count)))
    solution = linprog(cost, A_eq=equal, b_eq=target, bounds=(0, None), method="highs").x
    fitted = solution[:width] - solution[width : 2 * width]
    return tuple(float(value) for value in fitted)


def _reliability(name: str, clips: Sequence[RealClip], truth: Array, weights: Array) -> Reliability:
    rows = [
        (estimate.rate_per_min, true, weight)
        for clip, true, weight in zip(clips, truth, weights, strict=True)
        for estimate in clip.estimates
        if estimate.name == name
    ]
    said, true, weight = (np.array(column) for column in zip(*rows, strict=True))
    error = np.abs(said - true)
    hit, scale = 0.7, 1.0
    misses = tuple(np.full(len(KNOTS_PER_MIN), 1 / 171))
    for _ in range(_EM_ROUNDS):
        followed = hit * hit_density(error, scale)
        share = followed / (followed + (1 - hit) * np.interp(said, KNOTS_PER_MIN, misses))
        hit = float((weight * share).sum() / weight.sum())
        scale = max(float((weight * share * error).sum() / (weight * share).sum()), _SMALLEST_SCALE_PER_MIN)
        misses = _density(said, weight * (1 - share), bandwidth=5.0)
    return Reliability(round(hit, 4), round(scale, 4), misses)


def _density(values: Array, weights: Array, bandwidth: float) -> tuple[float, ...]:
    """Kernel density per beat a minute at `KNOTS_PER_MIN`, never nought."""
    kernels = np.exp(-0.5 * ((KNOTS_PER_MIN[:, None] - values) / bandwidth) ** 2) @ weights
    density = kernels / (kernels.sum() * (KNOTS_PER_MIN[1] - KNOTS_PER_MIN[0])) + _DENSITY_FLOOR
    return tuple(round(float(value), 7) for value in density)
