"""The whole picture, small, where the mesh was measured: what moves with the face, and what does not."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.mesh import POINTS

#: Longer side of a view, in pixels.
SIDE: Final = 160
#: Views of one clip at most: what comes later shows nothing new.
MOST: Final = 150
#: Seconds between two views at least.
_APART_S: Final = 0.1


@dataclass(frozen=True)
class Views:
    """Grey pictures (m, h, w) uint8 at `times_s` (m,), and the mesh in each (m, 478, 2), in their pixels."""

    times_s: NDArray[np.float64]
    pictures: NDArray[np.uint8]
    meshes: NDArray[np.float32]


#: What a track without a face holds.
EMPTY_VIEWS: Final = Views(np.zeros(0), np.zeros((0, 8, 8), np.uint8), np.zeros((0, POINTS, 2), np.float32))


class ViewKeeper:
    """Keeps the views."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._pictures: list[NDArray[np.uint8]] = []
        self._meshes: list[NDArray[np.float32]] = []

    def see(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Takes a frame (h, w, 3) in which the mesh (478, 2) was measured."""
        if len(self._times_s) >= MOST or (self._times_s and time_s - self._times_s[-1] < _APART_S):
            return
        height, width = rgb.shape[:2]
        scale = SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self._times_s.append(time_s)
        self._pictures.append(np.asarray(cv2.resize(rgb[..., 1], size, interpolation=cv2.INTER_AREA), np.uint8))
        # A pixel's centre, not its corner, is what shrinks onto the smaller picture.
        ratio = np.array([size[0] / width, size[1] / height], np.float32)
        self._meshes.append(((mesh + 0.5) * ratio - 0.5).astype(np.float32))

    def finish(self) -> Views:
        """All views of the clip."""
        if not self._times_s:
            return EMPTY_VIEWS
        return Views(np.array(self._times_s), np.array(self._pictures, np.uint8), np.array(self._meshes, np.float32))
