"""Square crops of the face for the neural estimators, from a box that ignores the jitter of the mesh."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL
from workers.media.downscale import downsample, octaves

#: Side of a crop in pixels.
CROP_SIDE: Final = 72

#: Side of the box in face heights.
_MARGIN: Final = 1.25
#: The box moves when the face's centre is further from its own than this part of its side, and is resized when the face
#: has changed its size by that part. A box that moved with every landmark would add the mesh's jitter to the crops.
_MAX_DRIFT: Final = 0.12
_MAX_GROWTH: Final = 0.25


class CropBox:
    """The square that is cropped from each frame, as it follows the face."""

    def __init__(self) -> None:
        self._centre: NDArray[np.float32] | None = None
        self._side = 0.0

    def crop(self, rgb: NDArray[np.uint8], mesh: NDArray[np.float32] | None) -> NDArray[np.uint8]:
        """Return the crop (72, 72, 3) uint8 of a frame `rgb` (h, w, 3) with the face's `mesh` (478, 2).

        Without a mesh the box stays where it was; before the first face the crop is black.
        """
        if mesh is not None:
            self._follow(mesh)
        if self._centre is None:
            return np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
        n_octaves = octaves(self._side, 2 * CROP_SIDE)
        side = max(1, round(self._side / (1 << n_octaves))) << n_octaves
        left, top = np.rint(self._centre - side / 2).astype(int)
        height, width = rgb.shape[:2]
        part = rgb[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
        if part.size == 0:
            return np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)
        if part.shape[:2] != (side, side):
            above, before = max(-top, 0), max(-left, 0)
            below, after = max(top + side - height, 0), max(left + side - width, 0)
            part = np.asarray(cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)
        part = downsample(part, n_octaves)
        return np.asarray(cv2.resize(part, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA), np.uint8)

    def _follow(self, mesh: NDArray[np.float32]) -> None:
        outline = mesh[list(OVAL)]
        low, high = outline.min(axis=0), outline.max(axis=0)
        centre = (low + high) / 2
        side = float(np.max(high - low)) * _MARGIN
        if self._centre is None or abs(side / self._side - 1) > _MAX_GROWTH:
            self._centre, self._side = centre, side
        elif float(np.max(np.abs(centre - self._centre))) > _MAX_DRIFT * self._side:
            self._centre = centre
