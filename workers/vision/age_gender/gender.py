"""Odds of portraits become the vital `gender`."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Method, Vital, VitalStatus
from shared.vitals import GENDER, Reason

#: Below this nothing is said. `python -m lab.bench.vision ../shared/data/faces` shows how many are told a gender, and
#: how many of them the right one, held out.
MIN_PROBABILITY: Final = 0.58


def gender(log_odds: NDArray[np.float32], method: Method, unmeasured: str = "") -> Vital:
    """The gender of a person whose portraits have these calibrated log-odds of male (n,), where they tell.

    `unmeasured` says why they are not calibrated where they are not; the vital is `experimental` then.
    """
    male = float(1 / (1 + np.exp(-float(np.mean(log_odds)))))
    probability = max(male, 1 - male)
    if probability < MIN_PROBABILITY:
        detail = (
            f"The likelier answer has a probability of {probability:.0%} only; {MIN_PROBABILITY:.0%} are asked for."
        )
        return Vital.without_value(GENDER.unit, VitalStatus.ABSTAINED, Reason.ESTIMATORS_DISAGREE, detail, method)
    return Vital(
        value="male" if male >= 0.5 else "female",
        unit=GENDER.unit,
        status=VitalStatus.EXPERIMENTAL if unmeasured else VitalStatus.OK,
        detail=unmeasured or None,
        probability=round(probability, 3),
        method=method,
    )
