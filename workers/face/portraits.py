"""Portraits: the face at nine moments, for the models that answer from a picture."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL
from workers.media.downscale import halved, halvings

#: The original's moments: frames 30, 60, … 270 at 30 frames a second. Shorter clips spread nine over their length.
MOMENTS_S: Final = tuple(float(second) for second in range(1, 10))
_FULL_S: Final = MOMENTS_S[-1] + 1.0

# Side of the crop in face heights, so that models which want hair, ears and shoulders find them, and in pixels at most.
_GENEROUS: Final = 2.2
_LARGEST_SIDE: Final = 800
# Candidates nearer to each other than this look the same.
_APART_S: Final = 0.15
# Side of the picture on which sharpness is judged, and the variance of its Laplacian that counts as sharp.
_SHARP_SIDE: Final = 96
_SHARP: Final = 150.0


@dataclass(frozen=True)
class Portrait:
    """One moment for the vision models. `rgb` (h, w, 3) uint8, a generous crop around the face.

    `landmarks` (478, 2) are pixels in the crop; `quality` in [0, 1] is the product of `sharpness` and `frontality`.
    """

    time_s: float
    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    quality: float
    sharpness: float
    frontality: float


@dataclass(frozen=True)
class _Candidate:
    time_s: float
    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


class PortraitAlbum:
    """Keeps what may become a portrait while the clip goes by, and chooses at its end."""

    def __init__(self) -> None:
        self._candidates: list[_Candidate] = []

    def offer(self, time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
        """Looks at a frame `rgb` in which `mesh` (478, 2) was measured."""
        if time_s > _FULL_S or (self._candidates and time_s - self._candidates[-1].time_s < _APART_S):
            return
        self._candidates.append(_Candidate(time_s, *_crop(rgb, mesh)))

    def choose(self, duration_s: float) -> tuple[Portrait, ...]:
        """The candidates nearest to the nine moments of a clip of `duration_s`, each once."""
        if not self._candidates:
            return ()
        moments = MOMENTS_S if duration_s >= _FULL_S else tuple(duration_s * i / 10 for i in range(1, 10))
        times_s = np.array([candidate.time_s for candidate in self._candidates])
        nearest = sorted({int(np.argmin(np.abs(times_s - moment_s))) for moment_s in moments})
        return tuple(_finished(self._candidates[index]) for index in nearest)


def portrait_of(time_s: float, rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> Portrait:
    """A portrait from a whole frame `rgb` (h, w, 3) and its mesh (478, 2)."""
    return _finished(_Candidate(time_s, *_crop(rgb, mesh)))


def _finished(candidate: _Candidate) -> Portrait:
    sharp, front = sharpness(candidate.rgb, candidate.landmarks), frontality(candidate.landmarks)
    return Portrait(candidate.time_s, candidate.rgb, candidate.landmarks, sharp * front, sharp, front)


def _crop(rgb: NDArray[np.uint8], mesh: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A generous crop around the face, a copy, and the mesh in it."""
    outline = mesh[list(OVAL)]
    low, high = outline.min(axis=0), outline.max(axis=0)
    half = float(np.max(high - low)) * _GENEROUS / 2
    height, width = rgb.shape[:2]
    left, top = np.maximum(np.floor((low + high) / 2 - half), 0).astype(int)
    right, bottom = np.minimum(np.ceil((low + high) / 2 + half), (width, height)).astype(int)
    part = rgb[top : max(bottom, top + 1), left : max(right, left + 1)]
    times = halvings(max(part.shape[:2]), _LARGEST_SIDE)
    crop = halved(part, times) if times else part.copy()
    # A pixel's centre, not its corner, is what shrinks onto the smaller picture.
    landmarks = (mesh - (left, top) + 0.5) / (1 << times) - 0.5
    return crop, landmarks.astype(np.float32)


def sharpness(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> float:
    """How sharp the face is, in [0, 1]: variance of the Laplacian of the face at one size and one contrast."""
    outline = landmarks[list(OVAL)]
    low = np.maximum(outline.min(axis=0), 0).astype(int)
    high = outline.max(axis=0).astype(int)
    face = rgb[low[1] : high[1], low[0] : high[0]]
    if min(face.shape[:2]) < 8:
        return 0.0
    face = halved(face, halvings(min(face.shape[:2]), 2 * _SHARP_SIDE))
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(grey, (_SHARP_SIDE, _SHARP_SIDE), interpolation=cv2.INTER_AREA), np.float32)
    small *= 40.0 / max(float(small.std()), 5.0)
    return float(np.clip(np.var(cv2.Laplacian(small, cv2.CV_32F)) / _SHARP, 0.0, 1.0))


def frontality(landmarks: NDArray[np.float32]) -> float:
    """How frontal the face is, in [0, 1]: 1 straight ahead, 0 in profile.

    The nose's tip divides the width between the cheekbones evenly, and the height from forehead to chin at a
    known part; turning and nodding move it.
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
