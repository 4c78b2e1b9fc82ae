"""What the encoder does once in every group of pictures is not a pulse, though it beats like one.

A keyframe shows colours anew that the frames after it carry along with errors of their own; skin jumps by a few tenths
of a per cent, as much as with a heartbeat, at the rate of the keyframes: a camera of 30 Hz with a keyframe every 30
frames beats at 60 /min. What all groups do alike, frame by frame since the keyframe, is taken away. Of a real webcam
clip with a keyframe every 30 of 29.5 frames a second, four of seven estimators read 59 /min; without the pattern, five
read 75 and none of the signal estimators 59.

That takes a pulse along whose rate is the keyframes' own, and what is left may be anything. Hence the second way: how
colours change across a keyframe is held for unknown. It leaves a pulse of any rate in, and some of the encoder's as
well, so it is asked whether it says the same, and not alone.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend

#: Fewer whole groups than this average too little: the pattern would take the pulse along.
FEWEST_GROUPS: Final = 5
#: Groups shorter than this (frames) are no groups: every picture is coded alone, or nearly.
SHORTEST_GROUP: Final = 4
#: Pictures of a group, the keyframe among them, whose change from the one before is the encoder's. A keyframe takes the
#: bits of those after it: in the clip above 16 kB, and then 0.5, 1.7 and 2.6 kB where others take 2.9.
UNSETTLED: Final = 3


def group_length(keys: NDArray[np.bool_]) -> int | None:
    """Frames between keyframes (n,), where they come often and regularly enough to tell a pattern; else None."""
    starts = np.flatnonzero(keys)
    if len(starts) < FEWEST_GROUPS + 1:
        return None
    lengths = np.diff(starts)
    usual = int(np.median(lengths))
    if usual < SHORTEST_GROUP or int((lengths == usual).sum()) < FEWEST_GROUPS:
        return None
    return usual


def rate_per_min(times_s: NDArray[np.float64], keys: NDArray[np.bool_]) -> float | None:
    """How often keyframes come, where they come regularly; else None."""
    length = group_length(keys)
    return None if length is None else 60 / (length * float(np.median(np.diff(times_s))))


def without_pattern(values: NDArray[np.float32], keys: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`values` (n, …), NaN where nothing was measured, without what every group of pictures repeats.

    Unchanged where there is no regular group (`group_length`).
    """
    length = group_length(keys)
    if length is None:
        return values
    starts = np.flatnonzero(keys)
    ends = np.append(starts[1:], len(keys))
    groups = [values[start:end] for start, end in zip(starts, ends, strict=True) if end - start == length]
    groups = [group for group in groups if np.isfinite(group).all()]
    if len(groups) < FEWEST_GROUPS:
        return values
    # Each group's own mean goes first, so that slow changes of the light don't enter the pattern.
    pattern = np.mean([group - group.mean(axis=0) for group in groups], axis=0)
    since = np.arange(len(keys)) - np.maximum.accumulate(np.where(keys, np.arange(len(keys)), -1))
    known = (since >= 0) & (since < length) & (np.maximum.accumulate(keys))
    cleaned = values.copy()
    cleaned[known] -= pattern[since[known]]
    return cleaned


def without_jumps(values: NDArray[np.float32], keys: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`values` (n, c), NaN where nothing was measured, as they are when pictures change with a keyframe as around it.

    Differences from picture to picture go on through the first `UNSETTLED` of every group in a straight line.
    """
    rows = np.flatnonzero(np.isfinite(values).all(axis=-1))
    groups = np.cumsum(keys)
    since = np.arange(len(keys)) - np.maximum.accumulate(np.where(keys, np.arange(len(keys)), -len(keys)))
    known = (np.diff(groups[rows]) == 0) & (since[rows][1:] >= UNSETTLED)
    if not known.any():
        return values
    steps = np.diff(values[rows].astype(np.float64), axis=0)
    places = np.arange(len(steps))
    for step in steps.T:
        step[~known] = np.interp(places[~known], places[known], step[known])
    walk = np.concatenate((np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)))
    bridged = values.copy()
    # What the jumps took back between them is a slope now.
    bridged[rows] += detrend(walk - values[rows], axis=0)
    return bridged


def regions_without_jumps(regions: NDArray[np.float32], keys: NDArray[np.bool_]) -> NDArray[np.float32]:
    """`without_jumps` of each of the regions (n, k, c): one that was not seen leaves the others alone."""
    return np.stack([without_jumps(colours, keys) for colours in regions.swapaxes(0, 1)], axis=1)
