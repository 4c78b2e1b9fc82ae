"""Mean colour of the background, which follows changes of the illumination and carries no pulse."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import linear
from workers.face.steady_bounds import SteadyBounds

#: Number of samples along the frame's shorter side. Illumination is smooth, and this costs 0.03 ms a frame.
_SAMPLES: Final = 60
#: Half widths of the area that belongs to the person, in face widths from the face's centre: head with hair and ears,
#: and shoulders below the chin.
_HEAD: Final = 1.0
_SHOULDERS: Final = 2.0
#: Smallest part of the frame from which a background colour is computed.
_MIN_PART: Final = 0.02


class Background:
    """Compute the mean colour of the background on a coarse grid, with the person left out."""

    def __init__(self) -> None:
        self._weights: NDArray[np.float32] | None = None
        self._face = SteadyBounds()

    def exclude_person(self, size: tuple[int, int], mesh: NDArray[np.float32]) -> None:
        """Exclude the area around the face `mesh` (478, 2), in pixels of a frame of `size` (w, h)."""
        bounds = self._face.renewed(mesh)
        if bounds is None:
            return
        low, high = bounds
        middle, width = float(low[0] + high[0]) / 2, float(high[0] - low[0])
        step = _step(size)
        y, x = np.mgrid[0 : size[1] : step, 0 : size[0] : step]
        beside = np.abs(x - middle)
        head = (beside < _HEAD * width) & (y > float(low[1]) - 0.6 * width)
        body = (beside < _SHOULDERS * width) & (y > float(high[1]) - 0.3 * width)
        free = ~(head | body)
        self._weights = (free / max(int(free.sum()), 1)).astype(np.float32).ravel()
        if free.mean() < _MIN_PART:
            self._weights = np.full(free.size, np.nan, np.float32)

    def colour(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the mean linear-light RGB (3,) of a frame `rgb` (h, w, 3).

        The whole frame is averaged before the first face is detected; NaN where the person fills the frame.
        """
        step = _step((rgb.shape[1], rgb.shape[0]))
        light = linear(np.ascontiguousarray(rgb[::step, ::step])).reshape(-1, 3)
        if self._weights is None:
            return np.asarray(light.mean(axis=0), np.float32)
        return np.asarray(self._weights @ light, np.float32)


def _step(size: tuple[int, int]) -> int:
    return max(1, min(size) // _SAMPLES)
