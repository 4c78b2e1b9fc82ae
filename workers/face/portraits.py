"""Portraits: crops of the face at nine moments, for the models that work on single images."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.box_crops import box_crops
from workers.face.skin_regions import OVAL
from workers.media.downscale import downsample, octaves

#: The original system's moments in seconds of seen face: frames 30, 60, … 270 at 30 a second. Where the face is seen
#: for a shorter time, nine moments are spread evenly over it.
MOMENTS_S: Final = tuple(float(second) for second in range(1, 10))
#: Shortest time with a face that has the moments above, in seconds. No candidate is kept beyond it.
_FULL_S: Final = MOMENTS_S[-1] + 1.0

#: Side of the crop in face heights: some models need hair, ears and shoulders.
_MARGIN: Final = 2.2
#: Largest side of a portrait in pixels.
_MAX_SIDE: Final = 800
#: Shortest time between two candidates, in seconds of seen face; with `_FULL_S` it bounds their number.
_MIN_INTERVAL_S: Final = 0.15
#: Side in pixels at which sharpness is measured, and the variance of the Laplacian from which on it is 1.
_SHARP_SIDE: Final = 96
_SHARP: Final = 150.0


@dataclass(frozen=True)
class Portrait:
    """A crop around the face at one moment.

    time_s      presentation time in seconds
    rgb         (h, w, 3) uint8 sRGB
    landmarks   (478, 2) mesh in pixels of the crop
    quality     in [0, 1], the product of `sharpness` and `frontality`
    sharpness   in [0, 1]
    frontality  in [0, 1]
    box_crops   (2, 80, 80, 3) uint8 sRGB, the frame around the box of the face; for the liveness check, else None
    """

    time_s: float
    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    quality: float
    sharpness: float
    frontality: float
    box_crops: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class _Candidate:
    time_s: float
    seen_s: float
    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    box_crops: NDArray[np.uint8] | None


class PortraitCollector:
    """Collect candidates during a clip, and select the portraits at its end.

    Time is counted while the face is seen: the clip's own time, less the times before the face appeared and while it
    was lost. The number of candidates is bounded, whatever the length of the clip.

    `with_box_crops`: whether the portraits have `box_crops`.
    """

    def __init__(self, *, with_box_crops: bool = False) -> None:
        self._with_box_crops = with_box_crops
        self._candidates: list[_Candidate] = []
        self._last_s: float | None = None
        self._unseen_s = 0.0
        self._lost = False

    def __len__(self) -> int:
        return len(self._candidates)

    def add_candidate(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Add a frame `rgb` (h, w, 3) with the face's `mesh` (478, 2)."""
        if self._last_s is None:
            self._unseen_s = time_s
        elif self._lost:
            # A return counts as much as the shortest interval, so that a face lost again and again fills the time too.
            self._unseen_s += max(time_s - self._last_s - _MIN_INTERVAL_S, 0.0)
        self._last_s, self._lost = time_s, False
        seen_s = time_s - self._unseen_s
        if seen_s > _FULL_S or (self._candidates and seen_s - self._candidates[-1].seen_s < _MIN_INTERVAL_S):
            return
        crops = box_crops(rgb, mesh) if self._with_box_crops else None
        self._candidates.append(_Candidate(time_s, seen_s, *_crop(rgb, mesh), crops))

    def add_absence(self) -> None:
        """Add a frame in which no face was detected."""
        self._lost = True

    def select(self) -> tuple[Portrait, ...]:
        """Return the candidates nearest to the nine moments of the time with a face, each once."""
        if not self._candidates or self._last_s is None:
            return ()
        duration_s = self._last_s - self._unseen_s
        moments = MOMENTS_S if duration_s >= _FULL_S else tuple(duration_s * i / 10 for i in range(1, 10))
        seen_s = np.array([candidate.seen_s for candidate in self._candidates])
        nearest = sorted({int(np.argmin(np.abs(seen_s - moment_s))) for moment_s in moments})
        return tuple(_make_portrait(self._candidates[index]) for index in nearest)


def portrait_from_frame(time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> Portrait:
    """Make a portrait from a whole frame `rgb` (h, w, 3) and its `mesh` (478, 2)."""
    return _make_portrait(_Candidate(time_s, 0.0, *_crop(rgb, mesh), box_crops(rgb, mesh)))


def _make_portrait(candidate: _Candidate) -> Portrait:
    sharp, front = measure_sharpness(candidate.rgb, candidate.landmarks), measure_frontality(candidate.landmarks)
    return Portrait(
        candidate.time_s, candidate.rgb, candidate.landmarks, sharp * front, sharp, front, candidate.box_crops
    )


def _crop(rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a crop around the face, as a copy, and the mesh in pixels of the crop."""
    outline = mesh[list(OVAL)]
    low, high = outline.min(axis=0), outline.max(axis=0)
    half = float(np.max(high - low)) * _MARGIN / 2
    height, width = rgb.shape[:2]
    left, top = np.maximum(np.floor((low + high) / 2 - half), 0).astype(int)
    right, bottom = np.minimum(np.ceil((low + high) / 2 + half), (width, height)).astype(int)
    part = rgb[top : max(bottom, top + 1), left : max(right, left + 1)]
    n_octaves = octaves(max(part.shape[:2]), _MAX_SIDE)
    crop = downsample(part, n_octaves) if n_octaves else part.copy()
    # Coordinates refer to pixel centres, hence the half pixel.
    landmarks = (mesh - (left, top) + 0.5) / (1 << n_octaves) - 0.5
    return crop, landmarks.astype(np.float32)


def measure_sharpness(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> float:
    """Return the sharpness of a face in [0, 1]: the variance of its Laplacian at a fixed size and contrast.

    `rgb` is a portrait (h, w, 3), `landmarks` (478, 2) the mesh in it.
    """
    outline = landmarks[list(OVAL)]
    low = np.maximum(outline.min(axis=0), 0).astype(int)
    high = outline.max(axis=0).astype(int)
    face = rgb[low[1] : high[1], low[0] : high[0]]
    if min(face.shape[:2]) < 8:
        return 0.0
    face = downsample(face, octaves(min(face.shape[:2]), 2 * _SHARP_SIDE))
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, (_SHARP_SIDE, _SHARP_SIDE), interpolation=cv2.INTER_AREA), np.float32)
    small *= 40.0 / max(float(small.std()), 5.0)
    return float(np.clip(float(np.var(cv2.Laplacian(small, cv2.CV_32F))) / _SHARP, 0.0, 1.0))


def measure_frontality(landmarks: NDArray[np.float32]) -> float:
    """Return how frontal a face is, from 0 in profile to 1 straight ahead, by its mesh `landmarks` (478, 2).

    In a frontal face the tip of the nose halves the width between the cheekbones, and divides the height from forehead
    to chin at 0.58. Turning and nodding move it.
    """
    right, left, tip, top, chin = landmarks[[234, 454, 1, 10, 152]]
    across = left - right
    width = float(np.hypot(*across))
    if width < 1.0:
        return 0.0
    along = float(np.dot(tip - right, across)) / width**2
    down = float(np.dot(tip - top, chin - top)) / max(float(np.dot(chin - top, chin - top)), 1.0)
    turn, nod = abs(along - 0.5) / 0.35, abs(down - 0.58) / 0.3
    return float(np.clip(1.0 - np.hypot(turn, nod), 0.0, 1.0))
