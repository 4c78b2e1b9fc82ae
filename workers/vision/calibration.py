"""What the networks' answers mean: constants fitted by `python -m lab.bench.vision ../shared/data/faces`.

All of it rests on 262 portraits (FairFace, CC-BY-4.0; 173 of adults) and is checked by cross-validation on the same;
`docs/models` has the tables.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Offset and slope.
Line = tuple[float, float]


@dataclass(frozen=True)
class AgeCalibration:
    """How a network's years become a person's.

    `curve` are knots (years of the network, years of the person) with straight lines between; level beyond the last,
    because what the network says of the old no longer tells their ages apart; `low` and `high`
    are offset and slope, over the person's years, of the 5 % and 95 % quantiles of the truth; `mae` what they miss the
    middle of the age band by (173 adults, held out).
    """

    curve: tuple[tuple[float, float], ...]
    low: Line
    high: Line
    mae: float

    def years(self, ages: NDArray[np.float32]) -> NDArray[np.float32]:
        """The person's years (n,) for the network's (n,)."""
        x, y = (np.array(column) for column in zip(*self.curve, strict=True))
        before = np.maximum(x[0] - ages, 0.0) * ((y[1] - y[0]) / (x[1] - x[0]))
        return np.asarray(np.maximum(np.interp(ages, x, y) - before, 0.0), np.float32)


#: By model. Adults count more than minors in the fit (1 to 0.3): they are whom this is used by; minors read too old.
AGE: Final = {
    "agegender": AgeCalibration(
        curve=((8.0, 3.3), (18.0, 25.2), (28.0, 31.1), (40.0, 40.5), (55.0, 57.9), (70.0, 70.4)),
        low=(-10.096, 0.819),
        high=(11.836, 1.071),
        mae=7.2,
    ),
    "age.dlib": AgeCalibration(
        curve=((8.0, 3.4), (18.0, 15.8), (28.0, 31.9), (40.0, 44.2), (55.0, 59.5), (70.0, 69.9)),
        low=(-8.572, 0.642),
        high=(25.625, 0.929),
        mae=10.0,
    ),
}

#: Weights of each model's log-odds of male, then the constant, by the models that are installed; fitted to adults by
#: logistic regression, so that the sum is the logarithm of calibrated odds.
GENDER: Final[dict[tuple[str, ...], tuple[float, ...]]] = {
    ("agegender", "gender.dlib"): (0.48, 0.671, -1.59),
    ("agegender",): (1.098, -1.525),
    ("gender.dlib",): (0.881, -1.11),
}
