"""Body-mass index by a trained Vision Transformer, the original's way: weights of the user's own."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, Method, Vital, VitalStatus
from shared.vitals import BMI
from workers.face.portraits import Portrait
from workers.models.session import Runner
from workers.models.vit import BmiCard, VisionTransformer
from workers.vision.alignment import square
from workers.vision.bmi import proportions

Floats = NDArray[np.float32]

# ImageNet's colours, by which torchvision's weights were trained.
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_SD: Final = np.array([0.229, 0.224, 0.225], np.float32)
#: An error on fewer people than this is no measurement: the 5 % and 95 % quantiles of 100 rest on five on each side.
MIN_PEOPLE: Final = 100
#: 90 % interval where nobody measured the weights: that of a normal error whose mean size is the largest published for
#: BMI from faces, 6.5 kg/m2.
UNMEASURED_90: Final = (-13.4, 13.4)
_BASELINE: Final = Baseline(
    value=proportions.MEAN, mae=4.8, source="a constant, on photos with stated height and weight (4.8 to 6.5 on 1,088)"
)


def body(portraits: Sequence[Portrait], network: Runner) -> Floats:
    """The BMI (n,) in kg/m2 that the network reads from each of n portraits."""
    if not isinstance(network, VisionTransformer):
        raise TypeError("BMI is read by a VisionTransformer")
    return network(pictures([square(one, network.card.crop, network.side) for one in portraits]))


def pictures(faces: Sequence[NDArray[np.uint8]]) -> Floats:
    """(n, 3, side, side) from faces (side, side, 3) RGB, normalised as ImageNet's."""
    scaled = (np.stack(faces).astype(np.float32) / 255.0 - _MEAN) / _SD
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def trained_body_mass_index(readings: Floats, card: BmiCard, method: Method) -> Vital:
    """The BMI of a person whose portraits read `readings` (n,): `ok` with weights whose error is known."""
    value = float(np.median(readings))
    measured = card.interval_90 if card.people >= MIN_PEOPLE else None
    low, high = measured or UNMEASURED_90
    trained = f"Trained on {card.trained_on}. " if card.trained_on else ""
    error = (
        f"On {card.people} people that training had not seen it is {card.mae:.1f} kg/m2 off in the mean."
        if measured and card.mae is not None
        else "Its error is not known, so the interval is that of the worst published; see docs/original-models.md."
    )
    return Vital(
        value=round(value, 1),
        unit=BMI.unit,
        status=VitalStatus.OK if measured else VitalStatus.EXPERIMENTAL,
        detail=trained + error,
        interval=(round(max(value + low, 0.0), 1), round(value + high, 1)),
        interval_level=0.9,
        baseline=_BASELINE,
        diagnostics={"lowest": round(float(readings.min()), 1), "highest": round(float(readings.max()), 1)},
        method=method,
    )
