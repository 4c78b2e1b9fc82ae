"""Removal of the pattern that an encoder repeats in every group of pictures, which is periodic like a pulse.

A keyframe resets colours that the following frames predict with errors; skin jumps by a few tenths of a per cent, as
much as with a heartbeat, at the rate of the keyframes: 60 /min for a camera of 30 Hz with a keyframe every 30
frames. What all groups have in common, frame by frame since the keyframe, is removed (`without_pattern`). In a real
webcam clip with a keyframe every 30 frames at 29.5 frames a second, four of seven estimators output 59 /min; without
the pattern, five output 75 and none of the signal estimators 59.

That removes a pulse at the keyframes' own rate as well, or at twice that rate. So there is a second way: colours are
interpolated across keyframes (`without_jumps`). It keeps a pulse of any rate, and some of the encoder's pattern, so
that it only confirms.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend

#: Whole groups that are needed; the mean of fewer contains the pulse.
MIN_GROUPS: Final = 5
#: Frames that a group needs; in shorter ones every picture is coded alone, or nearly.
MIN_GROUP_FRAMES: Final = 4
#: Frames of a group, including the keyframe, whose change from the frame before is the encoder's. A keyframe uses the
#: bits of those after it: 16 kB in the clip above, followed by 0.5, 1.7 and 2.6 kB, where others use 2.9.
TRANSIENT_FRAMES: Final = 3


#: Frames from which on a group is long: a pulse may beat several times in it. What long groups have in common contains
#: every pulse at a multiple of the keyframes' rate; so only the first frames and a straight line are removed. With
#: keyframes every 3.3 s, the rates at four such multiples were lost in simulated clips of 20 s, and none is now. Still
#: pictures coded with few bits and keyframes every 2 to 4 s have no pulse either way.
LONG_GROUP_FRAMES: Final = 60
#: First frames of a long group in which what follows a keyframe settles.
SETTLING_FRAMES: Final = 15


def group_length(is_keyframe: NDArray[np.bool_]) -> int | None:
    """Return the frames between keyframes (n,), or None if they are too few or too irregular to show a pattern."""
    starts = np.flatnonzero(is_keyframe)
    if len(starts) < MIN_GROUPS + 1:
        return None
    lengths = np.diff(starts)
    usual = int(np.median(lengths))
    if usual < MIN_GROUP_FRAMES or int((lengths == usual).sum()) < MIN_GROUPS:
        return None
    return usual


def rate_per_min(times_s: NDArray[np.float64], is_keyframe: NDArray[np.bool_]) -> float | None:
    """Return the rate of keyframes per minute, or None if they are irregular. `times_s` and `is_keyframe` are (n,)."""
    length = group_length(is_keyframe)
    return None if length is None else 60 / (length * float(np.median(np.diff(times_s))))


def without_pattern(values: NDArray[np.float32], is_keyframe: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return `values` (n, …), NaN for frames without a measurement, without what every group of pictures repeats.

    They are unchanged if groups are not regular (`group_length`). Each value, such as a colour of a region, is cleaned
    on its own, by the groups and frames in which it was measured.
    """
    length = group_length(is_keyframe)
    if length is None:
        return values
    starts = np.flatnonzero(is_keyframe)
    ends = np.append(starts[1:], len(is_keyframe))
    pattern = _pattern(
        np.stack([values[start:end] for start, end in zip(starts, ends, strict=True) if end - start == length])
    )
    if length >= LONG_GROUP_FRAMES:
        pattern = _settling(pattern)
    since = np.arange(len(is_keyframe)) - np.maximum.accumulate(np.where(is_keyframe, np.arange(len(is_keyframe)), -1))
    known = (since >= 0) & (since < length) & (np.maximum.accumulate(is_keyframe))
    cleaned = values.copy()
    cleaned[known] -= pattern[since[known]]
    return cleaned


def _pattern(groups: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what groups (g, length, …) have in common, (length, …).

    It is 0 for a value that too few groups hold, and NaN for those frames of it that are missing in most groups.
    """
    measured = np.isfinite(groups)
    # Each group's mean is removed first, so that slow changes of the light don't enter the pattern.
    if measured.all():
        return np.asarray(np.mean([group - group.mean(axis=0) for group in groups], axis=0))
    present = np.where(measured, groups, 0)
    means = present.sum(axis=1, keepdims=True) / np.maximum(measured.sum(axis=1, keepdims=True), 1)
    times = measured.sum(axis=0)
    pattern = np.where(measured, groups - means, 0).sum(axis=0) / np.maximum(times, 1)
    enough = times >= MIN_GROUPS
    pattern[~enough] = np.nan
    return np.where(enough.mean(axis=0) >= 0.5, pattern, 0).astype(groups.dtype)


def _settling(pattern: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a pattern (length, …) with a straight line in place of everything after the first frames."""
    later = np.arange(len(pattern)) >= SETTLING_FRAMES
    columns = pattern.reshape(len(pattern), -1).astype(np.float64)
    x = np.linspace(-1, 1, len(pattern))[later, None]
    known = np.isfinite(columns[later])
    count = np.maximum(known.sum(axis=0), 1)
    rest = np.where(known, columns[later], 0)
    x_mean, mean = np.where(known, x, 0).sum(axis=0) / count, rest.sum(axis=0) / count
    spread = np.where(known, (x - x_mean) ** 2, 0).sum(axis=0)
    slope = np.where(known, (x - x_mean) * (rest - mean), 0).sum(axis=0) / np.maximum(spread, 1e-12)
    columns[later] = np.where(known, mean + slope * (x - x_mean), np.nan)
    return columns.reshape(pattern.shape).astype(pattern.dtype)


def without_jumps(values: NDArray[np.float32], is_keyframe: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return `values` (n, c), NaN for frames without a measurement, with the change across keyframes interpolated.

    Differences between frames are interpolated linearly through the first `TRANSIENT_FRAMES` of every group.
    """
    rows = np.flatnonzero(np.isfinite(values).all(axis=-1))
    groups = np.cumsum(is_keyframe)
    since = np.arange(len(is_keyframe)) - np.maximum.accumulate(
        np.where(is_keyframe, np.arange(len(is_keyframe)), -len(is_keyframe))
    )
    known = (np.diff(groups[rows]) == 0) & (since[rows][1:] >= TRANSIENT_FRAMES)
    if not known.any():
        return values
    steps = np.diff(values[rows].astype(np.float64), axis=0)
    places = np.arange(len(steps))
    for step in steps.T:
        step[~known] = np.interp(places[~known], places[known], step[known])
    walk = np.concatenate((np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)))
    interpolated = values.copy()
    # The drift that the jumps corrected has become a slope.
    interpolated[rows] += detrend(walk - values[rows], axis=0)
    return interpolated


def regions_without_jumps(regions: NDArray[np.float32], is_keyframe: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Apply `without_jumps` to each of the regions (n, k, c) on its own; a hidden one does not affect others."""
    return np.stack([without_jumps(colours, is_keyframe) for colours in regions.swapaxes(0, 1)], axis=1)
