"""Motion of the background against the face: a head moves before its background, a picture of one moves with it.

Pairs of thumbnails between which the face moved are compared twice: as they are, and with the face's motion
compensated. Beside a living head the first comparison fits better, on a print that is moved the second. A living face
also changes slowly: two distant moments differ by more than two successive ones, where a photograph on a stand differs
by noise alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.skin_regions import OVAL
from workers.face.thumbnails import Thumbnails

#: Areas that are compared, by their horizontal distance from the face's centre in face heights: beside the head, and
#: far from it.
_BESIDE: Final = (0.7, 0.95)
_FAR: Final = 1.35
#: Largest number of pairs, and the smallest for a result.
_MAX_PAIRS: Final = 16
_MIN_PAIRS: Final = 3
#: Motion of the face within a pair, at least in thumbnail pixels and at most in face heights. The motion beside the
#: face is extrapolated from the face's own, and less precise the larger it is.
_MIN_MOTION_PX: Final = 0.6
_MAX_MOTION: Final = 0.25
#: Smallest log-ratio of the face itself. In pairs below it the mesh has jittered without the face.
_MIN_FACE_RATIO: Final = 0.1
#: Smallest number of thumbnails for a result.
_MIN_THUMBNAILS: Final = 8
#: Smallest number of pixels in a compared area.
_MIN_PIXELS: Final = 30
#: Change of a face over its contrast beyond what sensors and codecs cause, which is at most 0.04 on stills in low
#: light.
_CHANGE: Final = 0.05
#: Differences caused by sensor and codec, in grey levels.
_NOISE: Final = 1.5
#: Bound of the log-ratios, and the self-motion of a face too small to measure.
_BOUND: Final = 2.0


@dataclass(frozen=True)
class BackgroundMotion:
    """Motion of the face and of the background beside it.

    self_motion                 change of the face over the clip, over that between successive thumbnails; 1 is noise
                                alone
    background_moves_with_face  mean log-ratio of the differences beside the face, as they are and with the face's
                                motion compensated: above 0 the background moves with the face, below 0 it stays; None
                                where it has no structure, the face hardly moves, or the camera moves
    """

    self_motion: float
    background_moves_with_face: float | None


def measure_background_motion(thumbnails: Thumbnails) -> BackgroundMotion | None:
    """Measure the motion in `thumbnails`; None with fewer than eight of them."""
    if len(thumbnails.times_s) < _MIN_THUMBNAILS:
        return None
    outline = thumbnails.meshes[:, list(OVAL)].astype(np.float64)
    middles, height = outline.mean(axis=1), float(np.median(np.ptp(outline[..., 1], axis=1)))
    images = [cv2.GaussianBlur(image, (0, 0), 0.8).astype(np.float32) for image in thumbnails.images]
    background_moves_with_face = []
    for first, second in _pairs(middles, height):
        pair = _Pair(images[first], images[second], thumbnails.meshes[first], thumbnails.meshes[second], height)
        face_ratio = pair.ratio(pair.face)
        beside = pair.beside() if face_ratio is not None and face_ratio > _MIN_FACE_RATIO else None
        if beside is not None:
            background_moves_with_face.append(beside)
    enough = len(background_moves_with_face) >= _MIN_PAIRS
    return BackgroundMotion(
        _self_motion(images, np.median(middles, axis=0), height),
        float(np.mean(background_moves_with_face)) if enough else None,
    )


def _self_motion(images: list[NDArray[np.float32]], middle: NDArray[np.float64], height: float) -> float:
    """Return the change of the face against its median, over that between neighbours or over `_CHANGE`."""
    rows, columns = np.indices(images[0].shape)
    face = ((columns - middle[0]) / (0.33 * height)) ** 2 + ((rows - middle[1]) / (0.45 * height)) ** 2 < 1
    if face.sum() < _MIN_PIXELS:
        return _BOUND
    levels = np.array([image[face] for image in images])
    levels -= levels.mean(axis=1, keepdims=True)
    median_face = np.median(levels, axis=0)
    contrast = max(float(median_face.std()), 1e-6)
    # A change of the light is a gain.
    gain = levels @ median_face / max(float(median_face @ median_face), 1e-6)
    change = float(np.median((levels - gain[:, None] * median_face).std(axis=1))) / contrast
    noise = float(np.median(np.diff(levels, axis=0).std(axis=1))) / np.sqrt(2) / contrast
    return float(max(change / max(noise, 1e-6), change / _CHANGE))


def _pairs(middles: NDArray[np.float64], height: float) -> list[tuple[int, int]]:
    """Return pairs of thumbnails between which the face moved most, within the limits, none in more than three."""
    distance = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1))
    rows, columns = np.triu_indices(len(middles), 1)
    far = distance[rows, columns]
    usable = np.flatnonzero((far >= _MIN_MOTION_PX) & (far <= _MAX_MOTION * height))
    used = np.zeros(len(middles), int)
    chosen: list[tuple[int, int]] = []
    for index in usable[np.argsort(-far[usable])]:
        first, second = int(rows[index]), int(columns[index])
        if used[first] < 3 and used[second] < 3:
            used[[first, second]] += 1
            chosen.append((first, second))
        if len(chosen) >= _MAX_PAIRS:
            break
    return chosen


@lru_cache(maxsize=2)
def _grid(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return rows and columns (2, h, w) of a thumbnail's pixels."""
    return np.indices(shape, dtype=np.float32)


class _Pair:
    """Two thumbnails, and the second with the face's motion compensated."""

    def __init__(
        self,
        before: NDArray[np.float32],
        after: NDArray[np.float32],
        mesh: NDArray[np.float32],
        later: NDArray[np.float32],
        height: float,
    ) -> None:
        self._before, self._after = before, after
        size = (before.shape[1], before.shape[0])
        move = _affine(mesh, later)
        way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        compensated = cv2.warpAffine(after, move, size, flags=way, borderValue=(-1000.0,))
        self._compensated = np.asarray(compensated, np.float32)
        rows, columns = _grid(before.shape)
        middle = mesh[list(OVAL)].mean(axis=0)
        across, down = (columns - middle[0]) / height, (rows - middle[1]) / height
        inside = self._compensated >= 0
        level = (down > -0.45) & (down < 0.35) & inside
        ring = (np.abs(across) > _BESIDE[0]) & (np.abs(across) < _BESIDE[1]) & level
        (xx, xy, x0), (yx, yy, y0) = move.tolist()
        shift = np.hypot(
            xx * columns + xy * rows + x0 - columns,
            yx * columns + yy * rows + y0 - rows,
        )
        self._sides = [
            side
            for side in (ring & (across < 0), ring & (across > 0))
            if side.sum() >= _MIN_PIXELS and float(shift[side].mean()) >= _MIN_MOTION_PX
        ]
        self._far = ((np.abs(across) > _FAR) | (down < -1.1)) & (down < 0.5) & inside
        self.face = ((across / 0.33) ** 2 + (down / 0.45) ** 2 < 1) & inside

    def ratio(self, area: NDArray[np.bool_]) -> float | None:
        """Return the log-ratio of the differences in an area, as they are and compensated; None without structure."""
        if area.sum() < _MIN_PIXELS:
            return None
        still, moved = (float(np.var((self._before - image)[area])) for image in (self._after, self._compensated))
        if max(still, moved) < 2 * _NOISE**2:
            return None
        return float(np.clip(np.log((still + _NOISE**2) / (moved + _NOISE**2)), -_BOUND, _BOUND))

    def beside(self) -> float | None:
        """Return the log-ratio beside the face; None without structure, or where distant areas move along as well.

        Then the camera moves.
        """
        distant = self.ratio(self._far)
        if distant is not None and distant > 0:
            return None
        ratios = [value for side in self._sides if (value := self.ratio(side)) is not None]
        return float(np.mean(ratios)) if ratios else None


def _affine(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the affine map (2, 3) from the mesh `before` onto `after` by least squares."""
    design = np.column_stack([before[:468], np.ones(468)])
    return np.asarray(np.linalg.lstsq(design, after[:468], rcond=None)[0].T, np.float64)
