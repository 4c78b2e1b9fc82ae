"""Fit the fusion's model of each estimator, and the width of the interval, to clips with a known rate."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from lab.arrays import Floats
from lab.calibrate.table import RealClip, dataset_weights, folds_by_subject
from workers.rppg.fusion.agreement import FUSION, KNOTS_PER_MIN, Agreement, Fusion, Reliability, hit_density
from workers.rppg.vitals.heart_rate import MIN_ERROR_PER_MIN, IntervalModel, interval_features

#: Weight of each estimator among five: of 0.3, 0.4, 0.5, 0.6 the one with the lowest held-out error of accepted clips.
VOTE_WEIGHT: Final = 0.4

#: Folds of people for the conformal correction: each model is fitted to nineteen in twenty of them.
CONFORMAL_FOLDS: Final = 20

#: Share of the prior that is even over all rates: the datasets contain only people at rest. It costs no accuracy held
#: out (0.05 would).
NOT_AT_REST: Final = 0.02

_EM_ROUNDS: Final = 40
_MIN_SCALE_PER_MIN: Final = 0.15
_DENSITY_FLOOR: Final = 1e-5


def fit_fusion(clips: Sequence[RealClip]) -> Fusion:
    """Fit the fusion: for each estimator how often and how closely it follows the pulse, and its estimates otherwise.

    By expectation-maximisation (Dempster, Laird, Rubin 1977, "Maximum likelihood from incomplete data via the EM
    algorithm", Journal of the Royal Statistical Society B 39:1); each dataset has the same weight.
    """
    weights = dataset_weights(clips)
    truth = np.array([clip.rate_per_min for clip in clips])
    names = sorted({estimate.name for clip in clips for estimate in clip.estimates})
    return Fusion(
        weight=VOTE_WEIGHT,
        prior=_prior(truth, weights),
        reliabilities={name: _reliability(name, clips, truth, weights) for name in names},
        # The table's estimates are of the whole face; halves are fitted to simulated clips (`lab.calibrate.halves`).
        consistent_across_halves=FUSION.consistent_across_halves,
    )


def _prior(truth: Floats, weights: Floats) -> tuple[float, ...]:
    """Prior density of the rate at `KNOTS_PER_MIN`: that of the datasets, mixed with an even one."""
    at_rest = np.array(density(truth, weights, bandwidth=12.0))
    evenly = NOT_AT_REST / (KNOTS_PER_MIN[-1] - KNOTS_PER_MIN[0])
    return tuple(round(float(value), 7) for value in (1 - NOT_AT_REST) * at_rest + evenly)


def fit_interval(
    agreements: Sequence[Agreement], clips: Sequence[RealClip], errors_per_min: Floats, level: float
) -> IntervalModel:
    """Fit the interval by conformalised quantile regression of the log absolute error; clips weigh the same.

    errors_per_min  (n,) errors of the agreements' rates;  level  share of clips whose interval must contain the truth

    A quantile fitted to some people is too low for others. So each fold of people is predicted from the rest, and the
    model is raised until `level` of the predictions hold (Romano, Patterson & Candès 2019, "Conformalized quantile
    regression", NeurIPS; in folds: Barber et al. 2021, "Predictive inference with the jackknife+", Annals of Statistics
    49(1):486).
    """
    rows = np.array(
        [
            interval_features(agreement, clip.duration_s, clip.movement)
            for agreement, clip in zip(agreements, clips, strict=True)
        ]
    )
    target = np.log(np.abs(errors_per_min) + MIN_ERROR_PER_MIN)

    def fitted(chosen: NDArray[np.bool_]) -> Floats:
        count = int(chosen.sum())
        return np.array(quantile_regression(rows[chosen], target[chosen], np.full(count, 1 / count), level))

    fold = folds_by_subject(clips, CONFORMAL_FOLDS, seed=0)
    excess = [target[fold == index] - rows[fold == index] @ fitted(fold != index) for index in np.unique(fold)]
    model = fitted(np.ones(len(rows), np.bool_))
    model[0] += np.quantile(np.concatenate(excess), level)
    return IntervalModel(*model.tolist())


def quantile_regression(rows: Floats, target: Floats, weights: Floats, level: float) -> tuple[float, ...]:
    """Coefficients (k,) such that a share `level` of the targets (n,) is below `rows @ coefficients`, rows (n, k).

    Koenker, Bassett 1978, "Regression quantiles", Econometrica 46(1):33. `weights` (n,) sum to 1.
    """
    # The dual of the linear programme has one constraint for each coefficient instead of each row: ten times as fast.
    bounds = np.column_stack((np.zeros(len(weights)), weights))
    solution = linprog(-target, A_eq=rows.T, b_eq=(1 - level) * (rows.T @ weights), bounds=bounds, method="highs")
    return tuple(float(-price) for price in solution.eqlin.marginals)


def _reliability(name: str, clips: Sequence[RealClip], truth: Floats, weights: Floats) -> Reliability:
    """The model of one estimator, by expectation-maximisation over its estimates."""
    rows = [
        (estimate.rate_per_min, true, weight)
        for clip, true, weight in zip(clips, truth, weights, strict=True)
        for estimate in clip.estimates
        if estimate.name == name
    ]
    rate, true, weight = (np.array(column) for column in zip(*rows, strict=True))
    error = np.abs(rate - true)
    hit, scale = 0.7, 1.0
    misses = tuple(np.full(len(KNOTS_PER_MIN), 1 / 171))
    for _ in range(_EM_ROUNDS):
        followed = hit * hit_density(error, scale)
        share = followed / (followed + (1 - hit) * np.interp(rate, KNOTS_PER_MIN, misses))
        hit = float((weight * share).sum() / weight.sum())
        scale = max(float((weight * share * error).sum() / (weight * share).sum()), _MIN_SCALE_PER_MIN)
        misses = density(rate, weight * (1 - share), bandwidth=5.0)
    return Reliability(round(hit, 4), round(scale, 4), misses)


def density(values: Floats, weights: Floats, bandwidth: float) -> tuple[float, ...]:
    """Density of `values` (n,) with `weights` (n,), per /min at `KNOTS_PER_MIN`, never 0; `bandwidth` in /min."""
    kernels = np.exp(-0.5 * ((KNOTS_PER_MIN[:, None] - values) / bandwidth) ** 2) @ weights
    smooth = kernels / (kernels.sum() * (KNOTS_PER_MIN[1] - KNOTS_PER_MIN[0])) + _DENSITY_FLOOR
    return tuple(round(float(value), 7) for value in smooth)
