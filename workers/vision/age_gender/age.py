"""The vital `age` from the ages of portraits."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Age, Baseline, Method, VitalStatus
from shared.vitals import AGE
from workers.vision.age_gender.attribute_calibration import AgeCalibration

#: Probability of the interval.
INTERVAL_LEVEL: Final = 0.9
#: The best constant estimate, in years.
BASELINE_YEARS: Final = 55.0
#: Its mean absolute error in years, to the middle of the age band, on 173 adults spread evenly over the bands.
BASELINE_MAE: Final = 15.3


def age(
    ages: NDArray[np.float32], aggregate: Literal["median", "max"], calibration: AgeCalibration, method: Method
) -> Age:
    """Return the age of a person from the calibrated `ages` (n,) of n portraits in years.

    `aggregate` "max" is the rule of the original system.
    """
    years = float(np.max(ages) if aggregate == "max" else np.median(ages))
    low, high = interval(years, calibration)
    return Age(
        value=round(years, 1),
        unit=AGE.unit,
        status=VitalStatus.EXPERIMENTAL if calibration.unmeasured else VitalStatus.OK,
        detail=calibration.unmeasured or None,
        interval=(round(low, 1), round(high, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=Baseline(
            value=BASELINE_YEARS,
            mae=BASELINE_MAE,
            source="a constant, off the middle of the age band (173 adults, FairFace)"
            + ("" if calibration.unmeasured else f"; ours: {calibration.mae}"),
        ),
        method=method,
        diagnostics={"lowest": round(float(ages.min()), 1), "highest": round(float(ages.max()), 1)},
    )


def interval(years: float, calibration: AgeCalibration) -> tuple[float, float]:
    """Return the interval in years with probability `INTERVAL_LEVEL`; it always contains the estimate."""
    low, high = (offset + slope * years for offset, slope in (calibration.low, calibration.high))
    return max(0.0, min(low, years)), max(high, years)
