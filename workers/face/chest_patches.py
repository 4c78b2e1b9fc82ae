"""What is below the chin, a few times a second: shoulders and chest, whose rise and fall is breathing."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL

#: Pixels of a patch for one face width: chest movements of a few pixels remain a good part of one.
_SCALE: Final = 40
#: The patch, in face widths: this far to each side of the face's middle, from below the chin down.
_BESIDE: Final = 1.4
_BELOW: Final = 0.15
_DEPTH: Final = 1.4
#: With less than this to be seen below the chin, in face widths, there is no torso.
_LEAST: Final = 0.3


@dataclass(frozen=True)
class Torso:
    """Grey patches (m, h, w) uint8 of a fixed part of the picture below the chin, at `times_s` (m,).

    `scale` is the number of patch pixels for one face width. m is 0 where no torso is to be seen.
    """

    times_s: NDArray[np.float64]
    patches: NDArray[np.uint8]
    scale: float


#: What a track without a torso holds.
EMPTY_TORSO: Final = Torso(np.zeros(0), np.zeros((0, 8, 8), np.uint8), 1.0)


class TorsoView:
    """Cuts the patches. The part of the picture is chosen once, where the face was first seen."""

    def __init__(self) -> None:
        self._box: tuple[int, int, int, int] | None = None
        self._size = (0, 0)
        self._scale = 1.0
        self._hidden = False
        self._times_s: list[float] = []
        self._patches: list[NDArray[np.uint8]] = []

    def see(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Takes the patch of one frame (h, w, 3) with the face's mesh (478, 2)."""
        if self._box is None and not self._hidden:
            self._choose(rgb.shape[1], rgb.shape[0], mesh)
        if self._box is None:
            return
        left, top, right, bottom = self._box
        # Green alone carries most of the luminance, and costs no conversion.
        patch = cv2.resize(rgb[top:bottom, left:right, 1], self._size, interpolation=cv2.INTER_AREA)
        self._times_s.append(time_s)
        self._patches.append(np.asarray(patch, np.uint8))

    def finish(self) -> Torso:
        """All patches."""
        shape = (len(self._patches), self._size[1], self._size[0])
        return Torso(np.array(self._times_s, np.float64), np.array(self._patches, np.uint8).reshape(shape), self._scale)

    def _choose(self, width: int, height: int, mesh: NDArray[np.float32]) -> None:
        outline = mesh[list(OVAL)]
        low, high = outline.min(axis=0), outline.max(axis=0)
        face = float(high[0] - low[0])
        middle = float(low[0] + high[0]) / 2
        left, right = max(0, round(middle - _BESIDE * face)), min(width, round(middle + _BESIDE * face))
        top = round(float(high[1]) + _BELOW * face)
        bottom = min(height, round(float(high[1]) + _DEPTH * face))
        if bottom - top < _LEAST * face or right - left < face:
            self._hidden = True
            return
        shrink = min(1.0, _SCALE / face)
        self._box = (left, top, right, bottom)
        self._size = (max(8, round((right - left) * shrink)), max(8, round((bottom - top) * shrink)))
        self._scale = face * shrink
