"""Ages of portraits become the vital `age`."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, Method, Vital, VitalStatus
from shared.vitals import AGE

INTERVAL_LEVEL: Final = 0.9

# The true age's 5 % and 95 % quantiles, offset and slope over the estimate, and what a constant would miss by:
# `python -m lab.bench.vision ../shared/data/faces` fits them to 262 portraits of all ages. Held out, the interval
# holds the age of 91 % of adults (of those over sixty: 79 %) and 86 % of minors. It is that wide because the model is
# that weak: on adults 5.8 years off the band of ten years (10.1 off its middle), and most of that too young.
_LOW: Final = (-11.7, 0.779)
_HIGH: Final = (31.6, 0.864)
BASELINE: Final = Baseline(
    value=55.0, mae=15.3, source="a constant, off the middle of the age band; ours: 10.1 (173 adults, FairFace)"
)


def age(ages: NDArray[np.float32], aggregate: Literal["median", "max"], method: Method) -> Vital:
    """The age of a person whose portraits read `ages` (n,) years; `max` is what the original system answered."""
    years = float(np.max(ages) if aggregate == "max" else np.median(ages))
    low, high = interval(years)
    return Vital(
        value=round(years, 1),
        unit=AGE.unit,
        status=VitalStatus.OK,
        interval=(round(low, 1), round(high, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method,
        ingredients={"lowest": round(float(ages.min()), 1), "highest": round(float(ages.max()), 1)},
    )


def interval(years: float) -> tuple[float, float]:
    """Where the true age lies with a probability of `INTERVAL_LEVEL`, in years; it never leaves the estimate out."""
    low, high = (offset + slope * years for offset, slope in (_LOW, _HIGH))
    return max(0.0, min(low, years)), max(high, years)
