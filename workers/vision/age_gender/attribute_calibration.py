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
    middle of the age band by (173 adults, held out). `unmeasured` says what the figures rest on where it is not those
    portraits: the vital is `experimental` then.
    """

    curve: tuple[tuple[float, float], ...]
    low: Line
    high: Line
    mae: float
    unmeasured: str = ""

    def years(self, ages: NDArray[np.float32]) -> NDArray[np.float32]:
        """The person's years (n,) for the network's (n,)."""
        x, y = (np.array(column) for column in zip(*self.curve, strict=True))
        before = np.maximum(x[0] - ages, 0.0) * ((y[1] - y[0]) / (x[1] - x[0]))
        return np.asarray(np.maximum(np.interp(ages, x, y) - before, 0.0), np.float32)


#: Its weights can't be had where this was measured. On the set that it was trained on its authors state 4.65 years and
#: 97.4 % (methods page); the interval is that of a normal error twice as large, a margin of ours for other faces.
DEEPFACE_NOTE: Final = (
    "DeepFace's models are not measured here: the error behind this is their authors', on their own data; the interval "
    "is that of twice that error."
)

#: By model; the first that is installed answers. Adults count more than minors in the fit (1 to 0.3): they are whom
#: this is used by; minors read too old.
AGE: Final = {
    "deepface.age": AgeCalibration(
        curve=((0.0, 0.0), (100.0, 100.0)), low=(-19.2, 1.0), high=(19.2, 1.0), mae=4.65, unmeasured=DEEPFACE_NOTE
    ),
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

#: Genders of models that were not fitted, and what to say of them.
UNFITTED_GENDER: Final[dict[tuple[str, ...], str]] = {("deepface.gender",): DEEPFACE_NOTE}

#: Weights of each model's log-odds of male, then the constant, by the models that are installed; fitted to adults by
#: logistic regression, so that the sum is the logarithm of calibrated odds.
GENDER: Final[dict[tuple[str, ...], tuple[float, ...]]] = {
    ("deepface.gender",): (1.0, 0.0),
    ("agegender", "gender.dlib"): (0.48, 0.671, -1.59),
    ("agegender",): (1.098, -1.525),
    ("gender.dlib",): (0.881, -1.11),
}
