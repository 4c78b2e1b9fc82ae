"""Frames become a tracked face: mesh, regions, portraits, checks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Check
from workers.clip import Frame

REGIONS = ("face", "forehead", "left_cheek", "right_cheek")


@dataclass(frozen=True)
class Portrait:
    """One moment for the vision models. `rgb` (h, w, 3) uint8, a generous crop around the face; `landmarks` (478, 2) pixels in it."""

    time_s: float
    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    quality: float


@dataclass(frozen=True)
class FaceTrack:
    """What following one face through n frames gives. Rows where no face was seen hold NaN.

    times_s     (n,)            presentation times, strictly increasing, first is 0
    landmarks   (n, 478, 2)     mesh in pixels of the upright frame, interpolated between the frames where it was measured
    regions     (n, 4, 3)       mean linear-light RGB in [0, 1] of `REGIONS`, skin only, clipped and dark pixels left out
    background  (n, 3)          mean linear-light RGB of what is neither face nor body
    crops       (n, 72, 72, 3)  uint8 sRGB crops of the face for neural estimators
    faces       (n,)            number of faces seen (carried between measured frames)
    portraits                   at the original's nine moments, spread over shorter clips
    checks                      face, lighting, motion, timing, each with its reason
    size                        (width, height) of the upright frame
    """

    times_s: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    regions: NDArray[np.float32]
    background: NDArray[np.float32]
    crops: NDArray[np.uint8]
    faces: NDArray[np.int8]
    portraits: tuple[Portrait, ...]
    checks: dict[str, Check]
    size: tuple[int, int]


def track_face(frames: Iterable[Frame]) -> FaceTrack: ...
