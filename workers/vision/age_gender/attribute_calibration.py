"""Calibration of the networks' outputs: constants fitted by `python -m lab.bench.vision ../shared/data/faces`.

They are fitted to 262 portraits (FairFace, CC-BY-4.0; 173 of adults), and evaluated by cross-validation on the same
portraits; see `docs/models`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Offset and slope of a straight line.
Line = tuple[float, float]


@dataclass(frozen=True)
class AgeCalibration:
    """Map from a network's age to a calibrated age, with its error.

    curve       knots (network's years, calibrated years), linear in between and constant beyond the last: the networks
                do not separate the ages of old people
    low, high   lines over the calibrated years: the 5 % and 95 % quantiles of the true age
    mae         mean absolute error to the middle of the age band in years (173 adults, held out)
    unmeasured  the source of the figures where it is not those portraits; the vital is then `experimental`
    """

    curve: tuple[tuple[float, float], ...]
    low: Line
    high: Line
    mae: float
    unmeasured: str = ""

    def years(self, ages: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the calibrated ages (n,) for the network's `ages` (n,), in years."""
        x, y = (np.array(column) for column in zip(*self.curve, strict=True))
        before = np.maximum(float(x[0]) - ages, 0.0) * float((y[1] - y[0]) / (x[1] - x[0]))
        return np.asarray(np.maximum(np.interp(ages, x, y) - before, 0.0), np.float32)


#: DeepFace's weights were not available for measurements. Its authors report 4.65 years and 97.4 % on their own data
#: (methods page). The interval is that of a normal error twice as large, as a margin for other faces.
DEEPFACE_NOTE: Final = (
    "DeepFace's models are not measured here: the error is the one that their authors report, on their own data; the "
    "interval assumes twice that error."
)

#: Calibrations of age by model, in order of preference. Adults have a weight of 1 in the fit and minors 0.3, because
#: most users are adults; the ages of minors are overestimated.
AGE_CALIBRATIONS: Final = {
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

#: Models for gender that were not fitted, with a note for the user.
UNFITTED_GENDER: Final[dict[tuple[str, ...], str]] = {("deepface.gender",): DEEPFACE_NOTE}

#: Calibrations of gender by set of models, in order of preference: a weight for each model's log-odds of male, then a
#: constant. Fitted to adults by logistic regression, so that the weighted sum is the calibrated log-odds.
GENDER_CALIBRATIONS: Final[dict[tuple[str, ...], tuple[float, ...]]] = {
    ("deepface.gender",): (1.0, 0.0),
    ("agegender", "gender.dlib"): (0.48, 0.671, -1.59),
    ("agegender",): (1.098, -1.525),
    ("gender.dlib",): (0.881, -1.11),
}
