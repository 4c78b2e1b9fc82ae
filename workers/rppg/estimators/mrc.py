"""MRC: maximal-ratio combining of patches of skin, each weighted by how little noise it has.

Of channels with one signal and independent noise, the sum in which each is weighted by signal over noise power has the
highest signal-to-noise ratio (Brennan 1959, "Linear diversity combining techniques", Proc. IRE 47(6):1075). Kumar,
Veeraraghavan, Sabharwal 2015, "DistancePPG: robust non-contact vital signs monitoring using a camera", Biomed. Opt.
Express 6(5):1565, combine regions of a face so, by how far a rate stands out in each. Here the noise is a patch's whole
variance in the pulse band, which prefers no rate, so that the weights can't create a pulse. Encoders, shadows, hair and
lips are noisy in places; a mean over the face contains all of that noise.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import band_pass, detrend, standardise
from workers.rppg.signals.traces import Crops, Traces, scale_of

#: Patches along a side of the crop, of 3 x 3 pixels: larger ones mix quiet skin with noisy edges, smaller ones gain
#: nothing.
PATCHES: Final = 24
#: Half-axes of the oval that is searched for skin, over those of the crop: a face fills four fifths of its height.
_OVAL: Final = (0.66, 0.8)
#: Standard deviations of skin around the median colour: of the logarithms of red and blue over green, and of green.
_CHROMA_SD: Final = 0.15
_BRIGHTNESS_SD: Final = 0.5
#: Patches darker than this, of 255, in any colour have no pulse that eight bits resolve.
_MIN_BRIGHTNESS: Final = 3.0
#: Share of the median variance that is added to each patch's: one that the encoder does not update has none.
_VARIANCE_FLOOR: Final = 0.1
#: Relative pulsation of red, green and blue (de Haan & van Leest 2014, Physiol. Meas. 35(9):1913).
SIGNATURE: Final = np.array([0.33, 0.77, 0.53])
#: Share of the mean noise that is added to each colour's own: without it light of any level would cancel out, and most
#: of the pulse with it.
_OWN_NOISE: Final = 0.3
#: Columns on each side of the middle that are in neither half: an encoder's blocks reach across.
_GAP_COLUMNS: Final = 1


@dataclass(frozen=True)
class Skin:
    """Patches of a face.

    Attributes:
        change: (k, 3, n) relative change of their colours in the pulse band, rising with blood volume.
        noise: (k, 3) its variance, plus a share of the median variance.
        likeness: (k,) similarity of their colours to skin, in [0, 1].
        halves: two of (k,), whether they are in the left half and whether in the right.
    """

    change: NDArray[np.float64]
    noise: NDArray[np.float64]
    likeness: NDArray[np.float64]
    halves: tuple[NDArray[np.bool_], NDArray[np.bool_]]


def skin(traces: Traces) -> Skin:
    """Return the patches of the face crops; none if nothing is lit."""
    patches, columns = patches_of(traces.crops)
    middle = (PATCHES - 1) / 2
    halves = (columns < middle - _GAP_COLUMNS, columns > middle + _GAP_COLUMNS)
    if not len(columns):
        return Skin(patches, np.zeros((0, 3)), np.zeros(0), halves)
    means = patches.mean(axis=2, keepdims=True)
    change = band_pass(detrend(1.0 - patches / means, traces.fs), traces.fs)
    noise = change.var(axis=2)
    noise = np.maximum(noise + _VARIANCE_FLOOR * np.median(noise, axis=0), 1e-18)
    return Skin(change, noise, likeness(means[..., 0]), halves)


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return pulse waves (3, n), rising with blood volume: of the whole face, its left and its right part.

    A part without a patch of skin is zeros.
    """
    found = skin(traces)
    weights = found.likeness[:, None] / found.noise
    parts = (np.ones(len(weights), np.bool_), *found.halves)
    return standardise(np.stack([_combined(found.change[part], weights[part]) for part in parts]))


def patches_of(crops: Crops) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return means (k, 3, n) over the patches of crops (n, h, h, 3) inside the oval, and each patch's column (k,)."""
    side = crops.shape[1] // PATCHES
    if side == 0:
        return np.zeros((0, 3, len(crops))), np.zeros(0, np.intp)
    sums = patch_sums(crops, PATCHES)
    inside = oval(PATCHES)
    patches = sums[:, inside].transpose(1, 2, 0) / (side**2 * scale_of(crops))
    lit = patches.mean(axis=2).min(axis=1) > _MIN_BRIGHTNESS
    return patches[lit], np.nonzero(inside)[1][lit]


def patch_sums(crops: Crops, count: int) -> NDArray[np.uint32]:
    """Return the sums (n, c, c, 3) over `count` patches along each side of crops (n, h, h, 3), h at least `count`."""
    n, side = len(crops), crops.shape[1] // count
    cut = crops[:, : side * count, : side * count]
    # Summed as integers, rows first: a mean over two axes at once takes ten times as long.
    rows = cut.reshape(n, count, side, side * count, 3).sum(axis=2, dtype=np.uint32)
    sums: NDArray[np.uint32] = rows.reshape(n, count, count, side, 3).sum(axis=3, dtype=np.uint32)
    return sums


def likeness(means: NDArray[np.float64], face: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return the similarity (k,), in [0, 1], of the colours (k, 3) of patches to skin.

    The colour of skin is the median of the patches of the `face` (m, 3), by default of all.
    """
    brightness = np.log(means) - np.median(np.log(means if face is None else face), axis=0)
    chroma = brightness[:, [0, 2]] - brightness[:, 1:2]
    likely: NDArray[np.float64] = np.exp(
        -0.5 * (np.square(chroma).sum(axis=1) / _CHROMA_SD**2 + np.square(brightness[:, 1]) / _BRIGHTNESS_SD**2)
    )
    return likely


def _combined(change: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Combine the changes (k, 3, n) of patches into one wave (n,), by weights (k, 3): patches first, then colours.

    The noise of colours is correlated, so they are combined by its covariance.
    """
    total = weights.sum(axis=0)
    if not (total > 0).all():
        return np.zeros(change.shape[2])
    colours = np.einsum("kc,kcn->cn", weights / total, change)
    noise = np.cov(colours)
    noise += _OWN_NOISE * max(float(np.trace(noise)) / 3, 1e-18) * np.eye(3)
    return np.asarray(np.linalg.solve(noise, SIGNATURE) @ colours, np.float64)


@lru_cache(maxsize=2)
def oval(count: int) -> NDArray[np.bool_]:
    """Whether each patch (c, c), `count` along each side of a crop, is in the oval of the face."""
    middle = (np.arange(count) + 0.5) / count * 2 - 1
    return np.asarray((middle[None, :] / _OVAL[0]) ** 2 + (middle[:, None] / _OVAL[1]) ** 2 < 1)
