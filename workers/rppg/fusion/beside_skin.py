"""How much varies beside the skin, where no blood is seen: in hair, brows, eyes, beard and what is around the face.

A pulse is in the skin alone. Light, and motion of the whole head, change what is beside it by the same share. It is in
every crop of a face, also where clothes and background are hidden or have another light.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from workers.rppg.estimators.mrc import likeness, oval, patch_sums
from workers.rppg.signals.filters import detrend
from workers.rppg.signals.spectrum import SIGNAL_HALF_WIDTH_HZ, transform
from workers.rppg.signals.traces import Crops, scale_of

#: Patches along a side of the crop.
PATCHES: Final = 18
#: Half-axis of the circle that is looked at, over that of the crop.
_AROUND: Final = 1.14
#: Similarity to skin from which on a patch is skin, and up to which it is none.
_SKIN: Final = 0.6
_NO_SKIN: Final = 0.2
#: Patches darker than this, of 255, in any colour are too dark to see a change in.
_MIN_BRIGHTNESS: Final = 6.0
#: Fewest patches of either kind.
_MIN_PATCHES: Final = 4
#: Exponent that turns the pixels' values into linear light, nearly.
_GAMMA: Final = 2.2
#: Share of the median variance that is added to each patch's, so that a few still ones don't decide.
_OWN_NOISE: Final = 0.3
#: A Hann window's main lobe is this many times as wide as one over the duration.
_LOBE: Final = 1.5
#: Standard errors that are taken off.
_ERRORS: Final = 2.0


def beside_skin(
    crops: Crops, wave: NDArray[np.float64], fs: float, rates_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how much of the wave is beside the skin over how much is in it, at each rate (g,), less two errors.

    About 0 for a pulse and 1 for light; 0 or below where too little beside the skin is seen to know.

    Args:
        crops: (n, h, h, 3) of the face, of 36 pixels a side or a multiple.
        wave: (n,) pulse wave.
        fs: sampling rate, Hz.
        rates_hz: (g,).
    """
    changes, skin, other = _patches(crops)
    if min(skin.sum(), other.sum()) < _MIN_PATCHES:
        return np.zeros(len(rates_hz))
    hz, found = transform(detrend(np.vstack((changes, wave)), fs), fs)
    width = round(2 * SIGNAL_HALF_WIDTH_HZ / float(hz[1] - hz[0])) | 1
    independent = max(2 * SIGNAL_HALF_WIDTH_HZ * len(wave) / fs / _LOBE, 1.0)

    def near(values: NDArray[np.float64]) -> NDArray[np.float64]:
        smooth = uniform_filter1d(values, width, axis=-1, mode="nearest") * width
        at = np.clip(np.searchsorted(hz, rates_hz), 0, len(hz) - 1)
        return np.asarray(smooth[..., at])

    power = np.abs(found) ** 2
    of_wave = np.maximum(near(power[-1]), 1e-30)
    amplitude = near((found[:-1] * found[-1].conj()).real) / of_wave
    # What varies at other rates is the error at this one.
    at_rates = near(power[:-1])
    noise = (power[:-1].sum(axis=1, keepdims=True) - at_rates) * width / (len(hz) - width)
    variance = np.maximum(noise, 0) / of_wave / independent
    (in_skin, _), (beside, error) = (_mean(amplitude[chosen], variance[chosen]) for chosen in (skin, other))
    bound = (beside - _ERRORS * error) / np.maximum(in_skin, 1e-12)
    return np.where(in_skin > 0, np.clip(bound, -9.0, 9.0), 0.0)


def _mean(
    amplitude: NDArray[np.float64], variance: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (g,) of patches' amplitudes (k, g), by their variances, and its standard error."""
    weights = 1 / (variance + _OWN_NOISE * np.median(variance, axis=0) + 1e-30)
    weights /= weights.sum(axis=0)
    return (weights * amplitude).sum(axis=0), np.sqrt((weights**2 * variance).sum(axis=0))


def _patches(crops: Crops) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return changes of the patches' green (k, n), rising with blood volume, and which are skin, which none (k,)."""
    count, side = len(crops), crops.shape[1] // PATCHES
    if side == 0:
        return np.zeros((0, count)), np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    values = patch_sums(crops, PATCHES).reshape(count, PATCHES**2, 3) / (side**2 * scale_of(crops))
    means = values.mean(axis=0)
    middle = (np.arange(PATCHES) + 0.5) / PATCHES * 2 - 1
    face = oval(PATCHES).ravel()
    around = ((middle[None, :] ** 2 + middle[:, None] ** 2) < _AROUND**2).ravel()
    lit = means.min(axis=1) > _MIN_BRIGHTNESS
    if not (face & lit).any():
        return np.zeros((0, count)), np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    alike = np.zeros(PATCHES**2)
    alike[lit] = likeness(means[lit], means[face & lit])
    skin, other = face & lit & (alike > _SKIN), around & lit & (alike < _NO_SKIN)
    chosen = skin | other
    changes = -_GAMMA * np.log(np.maximum(values[:, chosen, 1], 1.0)).T
    return changes, skin[chosen], other[chosen]
