"""The vital `gender` from the log-odds of portraits."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Gender, Method, VitalStatus
from shared.vitals import GENDER, Reason

#: Smallest probability at which a gender is reported. `python -m lab.bench.vision ../shared/data/faces` measures the
#: coverage and the accuracy, held out.
MIN_PROBABILITY: Final = 0.58


def gender(log_odds: NDArray[np.float32], method: Method, unmeasured: str = "") -> Gender:
    """Return the gender of a person from the calibrated `log_odds` (n,) of male of n portraits.

    With `unmeasured`, the reason why they are not calibrated, the vital is `experimental`.
    """
    male = float(1 / (1 + np.exp(-float(np.mean(log_odds)))))
    probability = max(male, 1 - male)
    if probability < MIN_PROBABILITY:
        detail = f"The likelier answer has a probability of {probability:.0%} only; {MIN_PROBABILITY:.0%} are required."
        return Gender.without_value(GENDER.unit, VitalStatus.ABSTAINED, Reason.ESTIMATORS_DISAGREE, detail, method)
    return Gender(
        value="male" if male >= 0.5 else "female",
        unit=GENDER.unit,
        status=VitalStatus.EXPERIMENTAL if unmeasured else VitalStatus.OK,
        detail=unmeasured or None,
        probability=round(probability, 3),
        method=method,
    )
