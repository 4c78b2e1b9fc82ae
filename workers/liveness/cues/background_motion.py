"""Company: a head moves before its background; the picture of one takes what surrounds it along, or never moves.

Pairs of moments between which the face moved are compared twice: as they are, and with the face's motion taken back.
Beside a living head the first fits better, on a print that is moved the second. And a living face wanders: two moments
far apart differ by more than two that follow each other, where a photograph on a stand differs by noise alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL
from workers.face.thumbnails import Views

Floats = NDArray[np.float64]

# What is compared: beside the head, in face heights from the face's middle; and far from it.
_BESIDE: Final = (0.7, 0.95)
_FAR: Final = 1.35
#: Pairs of moments; the motion in view pixels from which on a pair can tell, and the most in face heights: what is
# beside the face is found by the face's own motion, and less surely the further it went.
_PAIRS: Final = 16
_LEAST_MOTION: Final = 0.6
_MOST_MOTION: Final = 0.25
# A pair in which the face itself does not fit better carried along, by this log ratio, shows a mesh that trembled.
_SURE: Final = 0.1
_FEWEST: Final = 3
_VIEWS: Final = 8
_LEAST_PIXELS: Final = 30
# Change of a face, over its contrast, that sensors and codecs do not make: 0.04 at most on stills in little light.
_CHANGE: Final = 0.05
# Grey levels: of the differences that sensor and codec make, and of a background that shows nothing.
_NOISE: Final = 1.5
_BOUND: Final = 2.0

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class Company:
    """`stirs`: how much more the face changes over the clip than from view to view; 1 is noise alone. `together`: mean
    log-ratio of the differences beside the face, as they are and with the face's motion taken back; above 0 what is
    there moves with the face, below 0 it stays; None where it shows nothing, the face hardly moves, or the camera does.
    """

    stirs: float
    together: float | None


def company(views: Views) -> Company | None:
    """What moves with the face; None with fewer than eight views."""
    if len(views.times_s) < _VIEWS:
        return None
    outline = views.meshes[:, list(OVAL)].astype(np.float64)
    middles, height = outline.mean(axis=1), float(np.median(np.ptp(outline[..., 1], axis=1)))
    shots = [cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.float32) for picture in views.pictures]
    together = []
    for first, second in _pairs(middles, height):
        pair = _Pair(shots[first], shots[second], views.meshes[first], views.meshes[second], height)
        own = pair.ratio(pair.face)
        beside = pair.beside() if own is not None and own > _SURE else None
        if beside is not None:
            together.append(beside)
    sure = len(together) >= _FEWEST
    return Company(_stirs(shots, np.median(middles, axis=0), height), float(np.mean(together)) if sure else None)


def _stirs(shots: list[Picture], middle: Floats, height: float) -> float:
    """Change against the clip's usual face over that between neighbours, or over what noise alone never makes."""
    rows, columns = np.indices(shots[0].shape)
    face = ((columns - middle[0]) / (0.33 * height)) ** 2 + ((rows - middle[1]) / (0.45 * height)) ** 2 < 1
    if face.sum() < _LEAST_PIXELS:
        return _BOUND
    levels = np.array([shot[face] for shot in shots])
    levels -= levels.mean(axis=1, keepdims=True)
    usual = np.median(levels, axis=0)
    contrast = max(float(usual.std()), 1e-6)
    # What a lamp does is a gain.
    gain = levels @ usual / max(float(usual @ usual), 1e-6)
    change = float(np.median((levels - gain[:, None] * usual).std(axis=1))) / contrast
    noise = float(np.median(np.diff(levels, axis=0).std(axis=1))) / np.sqrt(2) / contrast
    return float(max(change / max(noise, 1e-6), change / _CHANGE))


def _pairs(middles: Floats, height: float) -> list[tuple[int, int]]:
    """Pairs of moments between which the face moved most, but not too far, no moment in more than three."""
    distance = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1))
    rows, columns = np.triu_indices(len(middles), 1)
    far = distance[rows, columns]
    able = np.flatnonzero((far >= _LEAST_MOTION) & (far <= _MOST_MOTION * height))
    used = np.zeros(len(middles), int)
    chosen: list[tuple[int, int]] = []
    for index in able[np.argsort(-far[able])]:
        first, second = int(rows[index]), int(columns[index])
        if used[first] < 3 and used[second] < 3:
            used[[first, second]] += 1
            chosen.append((first, second))
        if len(chosen) >= _PAIRS:
            break
    return chosen


@lru_cache(maxsize=2)
def _grid(shape: tuple[int, int]) -> Picture:
    """Rows and columns (2, h, w) of a view's pixels."""
    return np.indices(shape, dtype=np.float32)


class _Pair:
    """Two views, and the second one with the face's motion taken back."""

    def __init__(
        self, before: Picture, after: Picture, mesh: NDArray[np.float32], later: NDArray[np.float32], height: float
    ) -> None:
        self._before, self._after = before, after
        size = (before.shape[1], before.shape[0])
        move = _affine(mesh, later)
        way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        carried = cv2.warpAffine(after, move, size, flags=way, borderValue=(-1000.0,))
        self._carried = np.asarray(carried, np.float32)
        rows, columns = _grid(before.shape)
        middle = mesh[list(OVAL)].mean(axis=0)
        across, down = (columns - middle[0]) / height, (rows - middle[1]) / height
        inside = self._carried >= 0
        level = (down > -0.45) & (down < 0.35) & inside
        ring = (np.abs(across) > _BESIDE[0]) & (np.abs(across) < _BESIDE[1]) & level
        shift = np.hypot(
            move[0, 0] * columns + move[0, 1] * rows + move[0, 2] - columns,
            move[1, 0] * columns + move[1, 1] * rows + move[1, 2] - rows,
        )
        self._sides = [
            side
            for side in (ring & (across < 0), ring & (across > 0))
            if side.sum() >= _LEAST_PIXELS and float(shift[side].mean()) >= _LEAST_MOTION
        ]
        self._far = ((np.abs(across) > _FAR) | (down < -1.1)) & (down < 0.5) & inside
        self.face = ((across / 0.33) ** 2 + (down / 0.45) ** 2 < 1) & inside

    def ratio(self, where: NDArray[np.bool_]) -> float | None:
        """Log-ratio of the differences as they are and carried; None where there is nothing to be seen."""
        if where.sum() < _LEAST_PIXELS:
            return None
        still, moved = (float(np.var((self._before - shot)[where])) for shot in (self._after, self._carried))
        if max(still, moved) < 2 * _NOISE**2:
            return None
        return float(np.clip(np.log((still + _NOISE**2) / (moved + _NOISE**2)), -_BOUND, _BOUND))

    def beside(self) -> float | None:
        """The same beside the face; None as well where what is far from it moves along: the camera does."""
        away = self.ratio(self._far)
        if away is not None and away > 0:
            return None
        found = [value for side in self._sides if (value := self.ratio(side)) is not None]
        return float(np.mean(found)) if found else None


def _affine(before: NDArray[np.float32], after: NDArray[np.float32]) -> Floats:
    """The affine map (2, 3) of one mesh onto another, by least squares."""
    design = np.column_stack([before[:468], np.ones(468)])
    return np.asarray(np.linalg.lstsq(design, after[:468], rcond=None)[0].T, np.float64)
