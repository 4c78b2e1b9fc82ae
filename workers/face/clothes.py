"""Mean colour of the clothes below the chin: they reflect every light that falls on the person, and carry no pulse."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import linear
from workers.face.steady_bounds import SteadyBounds

#: The area in face widths: half its width, and where it begins and ends below the chin. The neck, which pulsates, ends
#: above it.
_HALF_WIDTH: Final = 0.9
_TOP: Final = 0.55
_BOTTOM: Final = 1.6
#: Smallest height of the area, in face widths; with less no clothes are seen.
_MIN_HEIGHT: Final = 0.12
#: Number of samples along the area's width.
_SAMPLES: Final = 40


class Clothes:
    """Compute the mean colour of the clothes on a coarse grid of pixels of a fixed area of the frame."""

    def __init__(self) -> None:
        self._face = SteadyBounds()
        self._area: tuple[slice, slice] | None = None

    def follow(self, size: tuple[int, int], mesh: NDArray[np.float32]) -> None:
        """Choose the area below the face `mesh` (478, 2), in pixels of a frame of `size` (w, h)."""
        bounds = self._face.renewed(mesh)
        if bounds is None:
            return
        low, high = bounds
        width = float(high[0] - low[0])
        middle = float(low[0] + high[0]) / 2
        left, right = max(0, round(middle - _HALF_WIDTH * width)), min(size[0], round(middle + _HALF_WIDTH * width))
        top, bottom = round(float(high[1]) + _TOP * width), min(size[1], round(float(high[1]) + _BOTTOM * width))
        self._area = None
        if bottom - top >= _MIN_HEIGHT * width and right - left >= width:
            step = max(1, (right - left) // _SAMPLES)
            self._area = slice(top, bottom, step), slice(left, right, step)

    def colour(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the mean linear-light RGB (3,) of a frame `rgb` (h, w, 3); NaN where no clothes are seen."""
        if self._area is None:
            return np.full(3, np.nan, np.float32)
        return np.asarray(cv2.mean(linear(np.ascontiguousarray(rgb[self._area])))[:3], np.float32)
