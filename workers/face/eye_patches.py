"""Small grey patches of both eyes, in every frame, for the detection of blinks."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

#: Outer and inner corner of the right and the left eye in MediaPipe's face mesh.
CORNERS: Final = ((33, 133), (263, 362))
#: Height and width of a patch in pixels.
PATCH: Final = (14, 24)
#: Width of a patch in eye widths.
_MARGIN: Final = 1.5


@dataclass(frozen=True)
class Eyes:
    """Grey patches of both eyes in the n frames with a face.

    times_s  (n,)            presentation times in seconds
    patches  (n, 2, 14, 24)  uint8
    speed    (n,)            speed of the eyes in eye widths a second
    """

    times_s: NDArray[np.float64]
    patches: NDArray[np.uint8]
    speed: NDArray[np.float64]


#: The value for a track without eyes.
EMPTY_EYES: Final = Eyes(np.zeros(0), np.zeros((0, 2, *PATCH), np.uint8), np.zeros(0))


class EyeCollector:
    """Collect the patches of a clip."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._patches: list[NDArray[np.uint8]] = []
        self._places: list[tuple[float, float, float]] = []

    def add(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Add both eyes of a frame `rgb` (h, w, 3) with the face's `mesh` (478, 2)."""
        both = np.empty((2, *PATCH), np.uint8)
        for index, (outer, inner) in enumerate(CORNERS):
            middle, wide = (mesh[outer] + mesh[inner]) / 2, float(np.hypot(*(mesh[inner] - mesh[outer])))
            half = np.array([wide, wide * PATCH[0] / PATCH[1]]) * _MARGIN / 2
            left, top = np.maximum(np.rint(middle - half), 0).astype(int)
            right, bottom = np.rint(middle + half).astype(int)
            # Green carries most of the luminance and needs no conversion.
            part = rgb[top:bottom, left:right, 1]
            if min(part.shape) < 3:
                return
            both[index] = cv2.resize(part, PATCH[::-1], interpolation=cv2.INTER_AREA)
        first, second = mesh[CORNERS[0][0]], mesh[CORNERS[1][0]]
        self._places.append((*((first + second) / 2).tolist(), float(np.hypot(*(second - first)))))
        self._times_s.append(time_s)
        self._patches.append(both)

    def finish(self) -> Eyes:
        """Return all patches."""
        if len(self._times_s) < 2:
            return EMPTY_EYES
        times_s, places = np.array(self._times_s), np.array(self._places)
        # The outer corners are about three eye widths apart.
        speed = np.hypot(*np.gradient(places[:, :2], times_s, axis=0).T) / np.maximum(places[:, 2] / 3, 1.0)
        return Eyes(times_s, np.array(self._patches, np.uint8), speed)
