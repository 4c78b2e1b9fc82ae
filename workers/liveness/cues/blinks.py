"""Blinks: both eyes lose their open look at once, for a moment."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.eye_patches import Eyes

Floats = NDArray[np.float64]

# The open eye is searched for within so many pixels of where the mesh puts it.
_LOOSE: Final = 2
# Seconds that a blink may last (Caffier et al. 2003: 0.1 to 0.4), at the depth at which it is timed.
_SHORTEST_S: Final = 0.05
_LONGEST_S: Final = 0.6
# Seconds around a moment whose usual look is the open eye.
_AROUND_S: Final = 4.0
#: Loss of likeness to the open eye that counts as closed, at least, and in spreads of the likeness.
_LEAST_LOSS: Final = 0.12
_SPREADS: Final = 5.0
#: Frames a second that show a blink.
_LEAST_HZ: Final = 14.0
# Eye widths a second from which on an eye is too fast to be watched, and the part of the clip that must be slower.
_FAST: Final = 1.0
_CALM: Final = 0.5
_SHORTEST_CLIP_S: Final = 5.0


def blinks(eyes: Eyes) -> int | None:
    """How many blinks the patches show; None for too short or too slow a clip, or a head that never rests."""
    if len(eyes.times_s) < 2:
        return None
    duration_s = float(eyes.times_s[-1] - eyes.times_s[0])
    if duration_s < _SHORTEST_CLIP_S or len(eyes.times_s) < _LEAST_HZ * duration_s:
        return None
    calm = eyes.speed < _FAST
    if calm.mean() < _CALM:
        return None
    return count(eyes.times_s, openness(eyes), calm)


def openness(eyes: Eyes) -> Floats:
    """(n,) likeness of both eyes to how they mostly look, from -1 to 1."""
    usual = np.median(eyes.patches, axis=0).astype(np.uint8)
    core = usual[:, _LOOSE:-_LOOSE, _LOOSE:-_LOOSE]
    found = np.empty(eyes.patches.shape[:2])
    for eye in range(2):
        template = np.ascontiguousarray(core[eye])
        for index, patch in enumerate(eyes.patches[:, eye]):
            found[index, eye] = cv2.matchTemplate(patch, template, cv2.TM_CCOEFF_NORMED).max()
    return np.asarray(np.nan_to_num(found).mean(axis=1), np.float64)


def count(times_s: Floats, likeness: Floats, calm: NDArray[np.bool_]) -> int:
    """Dips of the likeness (n,) that last as long as a blink, while the eyes are `calm` (n,)."""
    step_s = float(np.median(np.diff(times_s)))
    window = max(3, 2 * round(_AROUND_S / step_s / 2) + 1)
    usual = _rolling_median(likeness, window)
    loss = usual - likeness
    spread = 1.4826 * float(np.median(np.abs(loss - np.median(loss))))
    depth = max(_LEAST_LOSS, _SPREADS * spread)
    closed = loss > depth / 2
    edges = np.flatnonzero(np.diff(np.concatenate(([0], closed.astype(np.int8), [0]))))
    found = 0
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        lasted_s = float(times_s[stop - 1] - times_s[start]) + step_s
        found += bool(
            _SHORTEST_S <= lasted_s <= _LONGEST_S and loss[start:stop].max() >= depth and calm[start:stop].all()
        )
    return found


def _rolling_median(values: Floats, window: int) -> Floats:
    half = window // 2
    padded = np.pad(values, half, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1), np.float64)
