"""Patches of shoulders and chest, a few times a second, for the respiratory motion."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL
from workers.media.clip import TIME_SLACK_S

#: Pixels of a patch for one face width. A chest movement of a few pixels of the frame remains a good part of one here.
_SCALE: Final = 40
#: The patch in face widths: half its width, and where it begins and ends below the chin.
_HALF_WIDTH: Final = 1.4
_TOP: Final = 0.15
_BOTTOM: Final = 1.4
#: Smallest height of the patch, in face widths; with less there is no torso.
_MIN_HEIGHT: Final = 0.3
#: Seconds between two patches.
STEP_S: Final = 1 / 6


@dataclass(frozen=True)
class Torso:
    """Grey patches of a fixed part of the frame below the chin.

    times_s  (m,)       mean presentation times of each patch's frames, seconds; m is 0 where there is no torso
    patches  (m, h, w)  uint8, each the mean of the frames of `STEP_S`
    scale               patch pixels for one face width
    """

    times_s: NDArray[np.float64]
    patches: NDArray[np.uint8]
    scale: float


#: The value for a track without a torso.
EMPTY_TORSO: Final = Torso(np.zeros(0), np.zeros((0, 8, 8), np.uint8), 1.0)


class TorsoCollector:
    """Collect the patches of a clip. Their place in the frame is chosen once, by the first mesh.

    A patch is the mean of all frames since the one before: single frames would show a camera that shakes at 5.65 Hz as
    a chest that moves 21 times a minute.
    """

    def __init__(self) -> None:
        self._box: tuple[int, int, int, int] | None = None
        self._size = (0, 0)
        self._scale = 1.0
        self._hidden = False
        self._times_s: list[float] = []
        self._patches: list[NDArray[np.uint8]] = []
        self._sum: NDArray[np.float32] | None = None
        self._summed_s: list[float] = []

    def add(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Add a frame `rgb` (h, w, 3) with the face's `mesh` (478, 2)."""
        if self._box is None and not self._hidden:
            self._choose(rgb.shape[1], rgb.shape[0], mesh)
        if self._box is None:
            return
        left, top, right, bottom = self._box
        # Green carries most of the luminance and needs no conversion.
        if self._summed_s and time_s - self._summed_s[0] >= STEP_S - TIME_SLACK_S:
            self._close()
        patch = np.asarray(cv2.resize(rgb[top:bottom, left:right, 1], self._size, interpolation=cv2.INTER_AREA))
        self._sum = patch.astype(np.float32) if self._sum is None else self._sum + patch
        self._summed_s.append(time_s)

    def finish(self) -> Torso:
        """Return all patches."""
        self._close()
        shape = (len(self._patches), self._size[1], self._size[0])
        return Torso(np.array(self._times_s, np.float64), np.array(self._patches, np.uint8).reshape(shape), self._scale)

    def _close(self) -> None:
        """Add the mean of the frames since the last patch."""
        if self._sum is not None:
            self._times_s.append(float(np.mean(self._summed_s)))
            self._patches.append(np.rint(self._sum / len(self._summed_s)).astype(np.uint8))
        self._sum, self._summed_s = None, []

    def _choose(self, width: int, height: int, mesh: NDArray[np.float32]) -> None:
        outline = mesh[list(OVAL)]
        low, high = outline.min(axis=0), outline.max(axis=0)
        face = float(high[0] - low[0])
        middle = float(low[0] + high[0]) / 2
        left, right = max(0, round(middle - _HALF_WIDTH * face)), min(width, round(middle + _HALF_WIDTH * face))
        top = round(float(high[1]) + _TOP * face)
        bottom = min(height, round(float(high[1]) + _BOTTOM * face))
        if bottom - top < _MIN_HEIGHT * face or right - left < face:
            self._hidden = True
            return
        shrink = min(1.0, _SCALE / face)
        self._box = (left, top, right, bottom)
        self._size = (max(8, round((right - left) * shrink)), max(8, round((bottom - top) * shrink)))
        self._scale = face * shrink
