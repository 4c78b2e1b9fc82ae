"""The light of what is neither face nor body: what a change of illumination does, and a pulse does not."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL, linear

# About so many samples along the frame's shorter side: illumination is smooth, and this costs 0.03 ms a frame.
_SAMPLES: Final = 60
# What belongs to the person, in face widths from the face's centre: hair and ears, and shoulders below the chin.
_HEAD: Final = 1.0
_SHOULDERS: Final = 2.0
# The person is taken to be where they were until they have moved by this many face widths.
_STAYS: Final = 0.3
# With less of the frame than this the background is not known.
_LEAST: Final = 0.02


class Background:
    """Mean colour of the background, on a coarse grid."""

    def __init__(self) -> None:
        self._weights: NDArray[np.float32] | None = None
        self._person: NDArray[np.float32] | None = None

    def see(self, size: tuple[int, int], mesh: NDArray[np.float32]) -> None:
        """Takes the person out of the background, where `mesh` (478, 2) was measured in a frame of `size` (w, h)."""
        outline = mesh[list(OVAL)]
        low, high = outline.min(axis=0), outline.max(axis=0)
        middle, width = float(low[0] + high[0]) / 2, float(high[0] - low[0])
        person = np.concatenate((low, high))
        # Pixels that come and go with every small movement would make the background flicker by more than a pulse does.
        if self._person is not None and float(np.max(np.abs(person - self._person))) < _STAYS * width:
            return
        self._person = person
        step = _step(size)
        y, x = np.mgrid[0 : size[1] : step, 0 : size[0] : step]
        beside = np.abs(x - middle)
        head = (beside < _HEAD * width) & (y > low[1] - 0.6 * width)
        body = (beside < _SHOULDERS * width) & (y > high[1] - 0.3 * width)
        free = ~(head | body)
        self._weights = (free / max(int(free.sum()), 1)).astype(np.float32).ravel()
        if free.mean() < _LEAST:
            self._weights = np.full(free.size, np.nan, np.float32)

    def colour(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mean linear-light RGB (3,); of the whole frame until a face was seen, NaN where the person fills it."""
        step = _step((rgb.shape[1], rgb.shape[0]))
        light = linear(np.ascontiguousarray(rgb[::step, ::step])).reshape(-1, 3)
        if self._weights is None:
            return np.asarray(light.mean(axis=0), np.float32)
        return np.asarray(self._weights @ light, np.float32)


def _step(size: tuple[int, int]) -> int:
    return max(1, min(size) // _SAMPLES)
