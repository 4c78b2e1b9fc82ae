"""Detection of blinks: both eyes briefly lose their similarity to the open eye."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.eye_patches import Eyes

#: The open eye is searched for within this distance in pixels from its place in the mesh.
_SEARCH_PX: Final = 2
#: Duration of a blink at half its depth, in seconds (Caffier et al. 2003, Eur. J. Appl. Physiol. 89:319: 0.1 to 0.4).
_MIN_BLINK_S: Final = 0.05
_MAX_BLINK_S: Final = 0.6
#: Length of the window whose median is the open eye, in seconds.
_WINDOW_S: Final = 4.0
#: Loss of similarity that counts as a closed eye: at least this, and in standard deviations of the similarity.
_MIN_LOSS: Final = 0.12
_SPREADS: Final = 5.0
#: Lowest frame rate at which blinks are visible, per second.
_MIN_HZ: Final = 14.0
#: Speed in eye widths a second from which on an eye is not evaluated, and the part of the clip that must be slower.
_MAX_SPEED: Final = 1.0
_MIN_SLOW_PART: Final = 0.5
#: Shortest clip in which blinks are counted, in seconds.
_MIN_DURATION_S: Final = 5.0


def count_blinks(eyes: Eyes) -> int | None:
    """Return the number of blinks; None for a clip that is too short or too slow, or a head that keeps moving."""
    if len(eyes.times_s) < 2:
        return None
    duration_s = float(eyes.times_s[-1] - eyes.times_s[0])
    if duration_s < _MIN_DURATION_S or len(eyes.times_s) < _MIN_HZ * duration_s:
        return None
    slow = eyes.speed < _MAX_SPEED
    if slow.mean() < _MIN_SLOW_PART:
        return None
    return count_dips(eyes.times_s, openness(eyes), slow)


def openness(eyes: Eyes) -> NDArray[np.float64]:
    """Return the similarity (n,) of both eyes to their median over the clip: normalised correlation in [-1, 1]."""
    open_eye = np.median(eyes.patches, axis=0).astype(np.uint8)
    core = open_eye[:, _SEARCH_PX:-_SEARCH_PX, _SEARCH_PX:-_SEARCH_PX]
    similarity = np.empty(eyes.patches.shape[:2])
    for eye in range(2):
        template = np.ascontiguousarray(core[eye])
        for index, patch in enumerate(eyes.patches[:, eye]):
            similarity[index, eye] = cv2.matchTemplate(patch, template, cv2.TM_CCOEFF_NORMED).max()
    return np.asarray(np.nan_to_num(similarity).mean(axis=1), np.float64)


def count_dips(times_s: NDArray[np.float64], similarity: NDArray[np.float64], slow: NDArray[np.bool_]) -> int:
    """Return the number of dips in `similarity` (n,) with the duration of a blink, in frames that are `slow` (n,)."""
    step_s = float(np.median(np.diff(times_s)))
    window = max(3, 2 * round(_WINDOW_S / step_s / 2) + 1)
    open_eye = _rolling_median(similarity, window)
    loss = open_eye - similarity
    spread = 1.4826 * float(np.median(np.abs(loss - np.median(loss))))
    depth = max(_MIN_LOSS, _SPREADS * spread)
    closed = loss > depth / 2
    edges = np.flatnonzero(np.diff(np.concatenate(([0], closed.astype(np.int8), [0]))))
    n_dips = 0
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        lasted_s = float(times_s[stop - 1] - times_s[start]) + step_s
        n_dips += bool(
            _MIN_BLINK_S <= lasted_s <= _MAX_BLINK_S and loss[start:stop].max() >= depth and slow[start:stop].all()
        )
    return n_dips


def _rolling_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    half = window // 2
    padded = np.pad(values, half, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1), np.float64)
