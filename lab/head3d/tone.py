"""Light and the values that a picture stores."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats, Floats32

#: Exponent of the tone curve that stands for sRGB's.
GAMMA: Final = 2.2

_LIGHT: Final = (np.arange(256, dtype=np.float32) / 255) ** np.float32(GAMMA)


def to_light(picture: NDArray[np.uint8]) -> Floats32:
    """Linear light in [0, 1] of the values of a picture."""
    return np.asarray(_LIGHT[picture], np.float32)


def curve(light: Floats, contrast: float) -> Floats:
    """Values in [0, 1] of linear light: the exponent, then an S-curve of this strength about the middle."""
    value = np.clip(light, 0, 1) ** (1 / GAMMA)
    return np.asarray((1 - contrast) * value + contrast * value * value * (3 - 2 * value), np.float64)
