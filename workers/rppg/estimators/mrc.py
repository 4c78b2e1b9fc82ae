"""MRC: patches of skin, each weighted by how quiet it is.

Maximal-ratio combining: of channels that carry one signal in noises of their own, the sum in which each is weighted by
signal over noise power is the clearest there is (Brennan 1959, "Linear diversity combining techniques", Proc. IRE
47(6):1075). Kumar, Veeraraghavan, Sabharwal 2015, "DistancePPG: robust non-contact vital signs monitoring using a
camera", Biomed. Opt. Express 6(5):1565, combine regions of a face so, by how far a rate stands out in each. Here the
noise is a patch's whole variance in the pulse band, which no rate is better for than another: nothing can be imagined.
Encoders, shadows, hair and lips are loud in places; a mean over the face hears them all.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import band_pass, detrend, standardise
from workers.rppg.signals.traces import Crops, Traces, scale_of

Array = NDArray[np.float64]

#: Patches along a side of the crop: of 3 x 3 pixels. Larger ones hold quiet skin and loud edges in one, smaller ones
#: gain nothing.
PATCHES: Final = 24
#: Half the axes of the oval in which skin is looked for, in those of the crop: a face fills four fifths of its height.
_OVAL: Final = (0.66, 0.8)
#: How far a patch's colour may lie from the median: standard deviations of the logarithms of red and blue over
#: green, and of green.
_COLOUR: Final = 0.15
_SHADE: Final = 0.5
#: Patches darker than this, of 255, in any colour hold no pulse that eight bits can show.
_DARK: Final = 3.0
#: Share of the median variance that is added to each: what an encoder does not renew is silent, and not for being good.
_SILENT: Final = 0.1
#: Relative pulsation of red, green and blue (de Haan & van Leest 2014, Physiol. Meas. 35(9):1913).
SIGNATURE: Final = np.array([0.33, 0.77, 0.53])
#: Of the colours' noise, that which each has for itself at least: without it light of any level would cancel out, and
#: with it most of the pulse.
_OWN: Final = 0.3
#: Columns on each side of the middle that neither half has: blocks of an encoder reach across.
_BETWEEN: Final = 1


@dataclass(frozen=True)
class Skin:
    """Patches of a face.

    change    (k, 3, n)  relative change of their colours in the pulse band, rising with blood volume
    noise     (k, 3)     its variance, and a share of the median's
    likeness  (k,)       how like skin they are
    halves    2 of (k,)  whether they lie in the left half and whether in the right
    """

    change: Array
    noise: Array
    likeness: Array
    halves: tuple[NDArray[np.bool_], NDArray[np.bool_]]


def skin(traces: Traces) -> Skin:
    """The patches of the face crops, none where nothing is lit."""
    patches, columns = patches_of(traces.crops)
    middle = (PATCHES - 1) / 2
    halves = (columns < middle - _BETWEEN, columns > middle + _BETWEEN)
    if not len(columns):
        return Skin(patches, np.zeros((0, 3)), np.zeros(0), halves)
    means = patches.mean(axis=2, keepdims=True)
    change = band_pass(detrend(1.0 - patches / means, traces.fs), traces.fs)
    noise = change.var(axis=2)
    noise = np.maximum(noise + _SILENT * np.median(noise, axis=0), 1e-18)
    return Skin(change, noise, likeness(means[..., 0]), halves)


def estimate(traces: Traces) -> Array:
    """(3, n) pulse waves of the face crops, rising with blood volume: of the whole, its left and its right part.

    Zeros where a part has no patch of skin.
    """
    found = skin(traces)
    weights = found.likeness[:, None] / found.noise
    parts = (np.ones(len(weights), np.bool_), *found.halves)
    return standardise(np.stack([_combined(found.change[part], weights[part]) for part in parts]))


def patches_of(crops: Crops) -> tuple[Array, NDArray[np.intp]]:
    """Means over patches (k, 3, n) of crops (n, h, h, 3) inside the oval, and in which column each patch lies (k,)."""
    count, side = len(crops), crops.shape[1] // PATCHES
    if side == 0:
        return np.zeros((0, 3, count)), np.zeros(0, np.intp)
    cut = crops[:, : side * PATCHES, : side * PATCHES]
    # Added up as whole numbers, row by row first: a mean over two axes at once takes ten times as long.
    rows = cut.reshape(count, PATCHES, side, side * PATCHES, 3).sum(axis=2, dtype=np.uint32)
    sums = rows.reshape(count, PATCHES, PATCHES, side, 3).sum(axis=3, dtype=np.uint32)
    inside = _oval()
    patches = sums[:, inside].transpose(1, 2, 0) / (side**2 * scale_of(crops))
    lit = patches.mean(axis=2).min(axis=1) > _DARK
    return patches[lit], np.nonzero(inside)[1][lit]


def likeness(means: Array) -> Array:
    """(k,) in [0, 1]: how like the skin's the colours (k, 3) of patches are; the skin's is the median."""
    shade = np.log(means)
    shade -= np.median(shade, axis=0)
    tint = shade[:, [0, 2]] - shade[:, 1:2]
    likely: Array = np.exp(-0.5 * (np.square(tint).sum(axis=1) / _COLOUR**2 + np.square(shade[:, 1]) / _SHADE**2))
    return likely


def _combined(change: Array, weights: Array) -> Array:
    """(n,) one wave of the changes (k, 3, n) of patches, by weights (k, 3): patches first, then their colours, whose
    noise is not each one's own.
    """
    total = weights.sum(axis=0)
    if not (total > 0).all():
        return np.zeros(change.shape[2])
    colours = np.einsum("kc,kcn->cn", weights / total, change)
    noise = np.cov(colours)
    noise += _OWN * max(float(np.trace(noise)) / 3, 1e-18) * np.eye(3)
    return np.asarray(np.linalg.solve(noise, SIGNATURE) @ colours, np.float64)


@lru_cache(maxsize=1)
def _oval() -> NDArray[np.bool_]:
    """(`PATCHES`, `PATCHES`) whether a patch lies in the oval."""
    middle = (np.arange(PATCHES) + 0.5) / PATCHES * 2 - 1
    return np.asarray((middle[None, :] / _OVAL[0]) ** 2 + (middle[:, None] / _OVAL[1]) ** 2 < 1)
