"""Quantile regression, for the widths of intervals."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from lab.arrays import Floats
from lab.calibrate.people import folds_of

#: Folds of people for the conformal correction: each model is fitted to nineteen in twenty of them.
CONFORMAL_FOLDS: Final = 20


def quantile_regression(rows: Floats, target: Floats, weights: Floats, level: float) -> tuple[float, ...]:
    """Coefficients (k,) such that a share `level` of the targets (n,) is below `rows @ coefficients`, rows (n, k).

    Koenker, Bassett 1978, "Regression quantiles", Econometrica 46(1):33. `weights` (n,) sum to 1.
    """
    # The dual of the linear programme has one constraint for each coefficient instead of each row: ten times as fast.
    bounds = np.column_stack((np.zeros(len(weights)), weights))
    solution = linprog(-target, A_eq=rows.T, b_eq=(1 - level) * (rows.T @ weights), bounds=bounds, method="highs")
    return tuple(float(-price) for price in solution.eqlin.marginals)


def conformal_quantiles(
    rows: Floats, target: Floats, people: Sequence[str], level: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the coefficients (k,) of a quantile that holds for other people, and whether it held for each target (n,).

    A quantile fitted to some people is too low for others. So each fold of people is predicted from the rest, and the
    constant, the first coefficient, is raised until a share `level` of the predictions hold (Romano, Patterson & Candès
    2019, "Conformalized quantile regression", NeurIPS).
    """

    def fitted(chosen: NDArray[np.bool_]) -> Floats:
        count = int(chosen.sum())
        return np.array(quantile_regression(rows[chosen], target[chosen], np.full(count, 1 / count), level))

    excess = left_out_excess(rows, target, folds_of(people, CONFORMAL_FOLDS, seed=0), fitted)
    raised = float(np.quantile(excess, level))
    coefficients = fitted(np.ones(len(rows), np.bool_))
    coefficients[0] += raised
    return coefficients, excess <= raised


def left_out_excess(
    rows: Floats, target: Floats, fold: NDArray[np.int64], fitted: Callable[[NDArray[np.bool_]], Floats]
) -> Floats:
    """Return by how much each target (n,) exceeds the prediction of the coefficients `fitted` to the other folds."""
    excess = np.zeros(len(target))
    for index in np.unique(fold):
        chosen = fold == index
        excess[chosen] = target[chosen] - rows[chosen] @ fitted(~chosen)
    return excess
