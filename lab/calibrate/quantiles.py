"""Quantile regression, for the widths of intervals."""

from typing import Final

import numpy as np
from scipy.optimize import linprog

from lab.arrays import Floats

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
