"""Thumbnails of whole frames with their mesh, from which the background's motion is measured."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.mesh import POINTS

#: Longer side of a thumbnail in pixels.
SIDE: Final = 160
#: Largest number of thumbnails of one clip; later frames add nothing new.
MAX_THUMBNAILS: Final = 150
#: Shortest time between two thumbnails, in seconds.
_MIN_INTERVAL_S: Final = 0.1


@dataclass(frozen=True)
class Thumbnails:
    """Grey thumbnails of frames in which the mesh was measured.

    times_s  (m,)         presentation times in seconds
    images   (m, h, w)    uint8
    meshes   (m, 478, 2)  mesh in pixels of the thumbnail
    """

    times_s: NDArray[np.float64]
    images: NDArray[np.uint8]
    meshes: NDArray[np.float32]


#: The value for a track without a face.
EMPTY_THUMBNAILS: Final = Thumbnails(np.zeros(0), np.zeros((0, 8, 8), np.uint8), np.zeros((0, POINTS, 2), np.float32))


class ThumbnailCollector:
    """Collect the thumbnails of a clip."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._images: list[NDArray[np.uint8]] = []
        self._meshes: list[NDArray[np.float32]] = []

    def add(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Add a frame `rgb` (h, w, 3) in which `mesh` (478, 2) was measured."""
        if len(self._times_s) >= MAX_THUMBNAILS or (self._times_s and time_s - self._times_s[-1] < _MIN_INTERVAL_S):
            return
        height, width = rgb.shape[:2]
        scale = SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self._times_s.append(time_s)
        self._images.append(np.asarray(cv2.resize(rgb[..., 1], size, interpolation=cv2.INTER_AREA), np.uint8))
        # Coordinates refer to pixel centres, hence the half pixel.
        ratio = np.array([size[0] / width, size[1] / height], np.float32)
        self._meshes.append(((mesh + 0.5) * ratio - 0.5).astype(np.float32))

    def finish(self) -> Thumbnails:
        """Return all thumbnails."""
        if not self._times_s:
            return EMPTY_THUMBNAILS
        return Thumbnails(np.array(self._times_s), np.array(self._images, np.uint8), np.array(self._meshes, np.float32))
