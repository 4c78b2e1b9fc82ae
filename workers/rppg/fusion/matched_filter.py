"""How much the colours of several regions vary at a rate as blood makes them vary, beside what varies at other rates.

The adaptive matched filter of radar (Robey, Fuhrmann, Kelly, Nitzberg 1992, "A CFAR adaptive matched filter detector",
IEEE Trans. Aerosp. Electron. Syst. 28(1):208): the colours of all regions are one vector; blood changes it along a
known direction, the same in every region; what noise, light and motion change it by is seen at the other rates, as a
covariance. A turning head darkens one cheek while it brightens the other, and blood does not; a sum over the face does
not show that. Where there is only such noise the result is 1 on average, however strong it is.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from workers.rppg.estimators.mrc import SIGNATURE
from workers.rppg.signals.filters import detrend
from workers.rppg.signals.spectrum import transform

#: Rates that the noise is taken from, Hz.
BAND_HZ: Final = (0.25, 4.6)
#: Longest periods that are left, Hz.
_DETREND_HZ: Final = 0.3
#: Standard deviation, Hz, of the smoothing that gives how strong the noise is about a rate: it falls with the rate.
_LEVEL_HZ: Final = 0.2
#: Half-widths, Hz, of what belongs to a rate, and of what is no noise because of it.
_NEAR_HZ: Final = 0.05
_GUARD_HZ: Final = 0.15
#: Share of its own noise that is added to each channel: a clip has few independent rates to learn a covariance from.
_OWN_NOISE: Final = 0.03


def matched_power(regions: NDArray[np.float64], fs: float, rates_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power (g,) of blood at each rate, over that of noise; 1 on average where there is only noise.

    Args:
        regions: (k, 3, n) natural logarithms of linear RGB of regions of skin, not constant.
        fs: sampling rate, Hz.
        rates_hz: (g,) within `BAND_HZ`.
    """
    count, _, n = regions.shape
    hz, found = transform(detrend(regions.reshape(-1, n), fs, _DETREND_HZ), fs, BAND_HZ)
    power = np.abs(found) ** 2
    shares = power / np.maximum(power.mean(axis=1, keepdims=True), 1e-30)
    found = found / np.sqrt(gaussian_filter1d(shares.mean(axis=0), _LEVEL_HZ / float(hz[1] - hz[0]), mode="nearest"))
    products = (found[:, None] * found[None].conj()).real
    sums = np.concatenate((np.zeros((*products.shape[:2], 1)), np.cumsum(products, axis=2)), axis=2)

    def around(width_hz: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        start = np.searchsorted(hz, rates_hz - width_hz)
        stop = np.searchsorted(hz, rates_hz + width_hz, "right")
        return (sums[..., stop] - sums[..., start]).transpose(2, 0, 1), stop - start

    guarded, guard = around(_GUARD_HZ)
    noise = (sums[..., -1] - guarded) / (len(hz) - guard)[:, None, None]
    channel = np.arange(3 * count)
    noise[:, channel, channel] *= 1 + _OWN_NOISE
    noise[:, channel, channel] += 1e-30
    blood = np.tile(-SIGNATURE, count)
    weights = np.linalg.solve(noise, np.broadcast_to(blood[:, None], (len(rates_hz), 3 * count, 1)))[..., 0]
    near, width = around(_NEAR_HZ)
    return np.asarray(np.einsum("gi,gij,gj->g", weights, near, weights) / (weights @ blood) / width)
