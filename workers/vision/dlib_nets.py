"""Age and gender by the networks of dlib-models (Cydral Technology, CC0), run on ONNX Runtime.

Both take RGB chips of the face on dlib's five-point mean face. https://github.com/davisking/dlib-models
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.models.session import Network
from workers.portraits import Portrait
from workers.vision.alignment import chips

_AGE_SIDE: Final = 64
_GENDER_SIDE: Final = 32
# dlib's input_rgb_image: the colour subtracted from RGB, then a division by 256.
_MEAN: Final = np.array([122.782, 117.001, 104.298], np.float32)
# What the age network's 81 classes stand for, in years.
_YEARS: Final = np.array([0.25, *range(1, 81)], np.float32)
_LEAST: Final = 1e-6


def ages(portraits: Sequence[Portrait], network: Network) -> NDArray[np.float32]:
    """The expected age in years (n,) of each of n portraits."""
    return np.asarray(network(_batch(portraits, _AGE_SIDE)) @ _YEARS, np.float32)


def log_odds_male(portraits: Sequence[Portrait], network: Network) -> NDArray[np.float32]:
    """The logarithm (n,) of the odds of male against female for each of n portraits."""
    odds = np.log(np.maximum(network(_batch(portraits, _GENDER_SIDE)), _LEAST))  # classes: female, male
    return np.asarray(odds[:, 1] - odds[:, 0], np.float32)


def _batch(portraits: Sequence[Portrait], side: int) -> NDArray[np.float32]:
    pixels = (chips(portraits, side).astype(np.float32) - _MEAN) / 256.0
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
