"""Fit the fusion's model of each estimator, and the width of the interval, to clips whose rate is known."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from lab.calibrate.table import RealClip, dataset_weights, folds_by_subject
from workers.rppg.fusion.agreement import FUSION, KNOTS_PER_MIN, Agreement, Fusion, Reliability, hit_density
from workers.rppg.vitals.heart_rate import MIN_ERROR_PER_MIN, IntervalModel, interval_features

Array = NDArray[np.float64]

#: Weight of one vote among five: the value of 0.3, 0.4, 0.5, 0.6 with the lowest error of accepted clips, held out.
VOTE_WEIGHT: Final = 0.4

#: Folds of people by which an interval is made to hold: nineteen parts in twenty are nearly all there is to fit.
CONFORMAL_FOLDS: Final = 20

#: Share of the prior that is spread evenly over all rates: whoever films himself after a run is in none of the data
#: sets, which asked people to sit. It costs nothing held out (5 in 100 would).
NOT_AT_REST: Final = 0.02

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
        prior=_prior(truth, weights),
        reliabilities={name: _reliability(name, clips, truth, weights) for name in names},
        # Published answers are of the whole face: halves are known from simulated clips (`lab.calibrate.halves`).
        consistent_across_halves=FUSION.consistent_across_halves,
    )


def _prior(truth: Array, weights: Array) -> tuple[float, ...]:
    at_rest = np.array(density(truth, weights, bandwidth=12.0))
    evenly = NOT_AT_REST / (KNOTS_PER_MIN[-1] - KNOTS_PER_MIN[0])
    return tuple(round(float(value), 7) for value in (1 - NOT_AT_REST) * at_rest + evenly)


def fit_interval(
    agreements: Sequence[Agreement], clips: Sequence[RealClip], errors_per_min: Array, level: float
) -> IntervalModel:
    """Conformalised quantile regression of the logarithm of the absolute error, every clip counting the same.

    A quantile fitted to some people lies too low for others. So each fold of people is predicted from the rest, and the
    model raised by as much as holds `level` of what was predicted (Romano, Patterson & Candès 2019, "Conformalized
    quantile regression", NeurIPS; in folds: Barber et al. 2021, "Predictive inference with the jackknife+", Annals of
    Statistics 49(1):486).
    """
    rows = np.array(
        [
            interval_features(agreement, clip.duration_s, clip.movement)
            for agreement, clip in zip(agreements, clips, strict=True)
        ]
    )
    target = np.log(np.abs(errors_per_min) + MIN_ERROR_PER_MIN)

    def fitted(chosen: NDArray[np.bool_]) -> Array:
        count = int(chosen.sum())
        return np.array(quantile_regression(rows[chosen], target[chosen], np.full(count, 1 / count), level))

    fold = folds_by_subject(clips, CONFORMAL_FOLDS, seed=0)
    excess = [target[fold == index] - rows[fold == index] @ fitted(fold != index) for index in np.unique(fold)]
    model = fitted(np.ones(len(rows), np.bool_))
    model[0] += np.quantile(np.concatenate(excess), level)
    return IntervalModel(*model.tolist())


def quantile_regression(rows: Array, target: Array, weights: Array, level: float) -> tuple[float, ...]:
    """Coefficients (k,) for rows (n, k) below whose product a `level` of the targets (n,) lies (Koenker & Bassett
    1978).
    """
    # The dual of the linear programme: one constraint a coefficient instead of one a row, and a tenth of the time.
    bounds = np.column_stack((np.zeros(len(weights)), weights))
    solution = linprog(-target, A_eq=rows.T, b_eq=(1 - level) * (rows.T @ weights), bounds=bounds, method="highs")
    return tuple(float(-price) for price in solution.eqlin.marginals)


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
        misses = density(said, weight * (1 - share), bandwidth=5.0)
    return Reliability(round(hit, 4), round(scale, 4), misses)


def density(values: Array, weights: Array, bandwidth: float) -> tuple[float, ...]:
    """Kernel density per beat a minute at `KNOTS_PER_MIN`, never nought."""
    kernels = np.exp(-0.5 * ((KNOTS_PER_MIN[:, None] - values) / bandwidth) ** 2) @ weights
    smooth = kernels / (kernels.sum() * (KNOTS_PER_MIN[1] - KNOTS_PER_MIN[0])) + _DENSITY_FLOOR
    return tuple(round(float(value), 7) for value in smooth)
