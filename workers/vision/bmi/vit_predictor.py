"""Body-mass index by a Vision Transformer, as in the original system, with weights that the user provides."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, BodyMassIndex, Method, VitalStatus
from shared.vitals import BMI
from workers.face.portraits import Portrait
from workers.models.session import Runner
from workers.models.vit import BmiCard, VisionTransformer
from workers.vision.alignment import crop_square
from workers.vision.bmi import proportions

#: Mean and standard deviation of ImageNet's RGB, for which torchvision's weights were trained.
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_SD: Final = np.array([0.229, 0.224, 0.225], np.float32)
#: Smallest number of people on which an error counts as measured: the 5 % and 95 % quantiles of 100 rest on five each.
MIN_PEOPLE: Final = 100
#: 90 % interval for weights without a measured error, in kg/m2: that of a normal error with the largest mean absolute
#: error published for BMI from faces, 6.5 kg/m2.
UNKNOWN_ERROR_90: Final = (-13.4, 13.4)
_BASELINE: Final = Baseline(
    value=proportions.MEAN, mae=4.8, source="a constant, on photos with stated height and weight (4.8 to 6.5 on 1,088)"
)


def predict_body_mass(portraits: Sequence[Portrait], network: Runner) -> NDArray[np.float32]:
    """Return the BMI (n,) in kg/m2 of n portraits.

    Raises:
        TypeError: The network is not a `VisionTransformer`.
    """
    if not isinstance(network, VisionTransformer):
        raise TypeError("the BMI needs a VisionTransformer")
    return network(network_input([crop_square(one, network.card.crop, network.side) for one in portraits]))


def network_input(faces: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return (n, 3, side, side) from n faces (side, side, 3) RGB, normalised with ImageNet's statistics."""
    scaled = (np.stack(faces).astype(np.float32) / 255.0 - _MEAN) / _SD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def trained_body_mass_index(estimates: NDArray[np.float32], card: BmiCard, method: Method) -> BodyMassIndex:
    """Return the BMI of a person from the `estimates` (n,) in kg/m2 of n portraits.

    The vital is `ok` where the error of the weights was measured, and `experimental` otherwise.
    """
    value = float(np.median(estimates))
    measured = card.interval_90 if card.people >= MIN_PEOPLE else None
    low, high = measured or UNKNOWN_ERROR_90
    trained = f"Trained on {card.trained_on}. " if card.trained_on else ""
    error = (
        f"On {card.people} people that training had not seen it is {card.mae:.1f} kg/m2 off in the mean."
        if measured and card.mae is not None
        else "Its error is not known, so the interval is that of the worst published; see docs/original-models.md."
    )
    return BodyMassIndex(
        value=round(value, 1),
        unit=BMI.unit,
        status=VitalStatus.OK if measured else VitalStatus.EXPERIMENTAL,
        detail=trained + error,
        interval=(round(max(value + low, 0.0), 1), round(value + high, 1)),
        interval_level=0.9,
        baseline=_BASELINE,
        diagnostics={"lowest": round(float(estimates.min()), 1), "highest": round(float(estimates.max()), 1)},
        method=method,
    )
