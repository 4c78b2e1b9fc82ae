"""Detrending and band-pass filters, with constants that follow the sampling rate."""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.signal import butter, sosfiltfilt

#: The pulse band in Hz: 39 to 210 beats a minute.
PULSE_BAND_HZ: Final = (0.65, 3.5)


def smoothness(fs: float, cutoff_hz: float = PULSE_BAND_HZ[0]) -> float:
    """Return λ of the smoothness-priors detrending that passes 90 % at `cutoff_hz`: λ = 0.075·(fs/fc)².

    The residual's gain is λ²w⁴/(1 + λ²w⁴) with w = 2π·f/fs. The customary λ = 100 at 30 Hz removes half of a pulse of
    39 /min.
    """
    return 0.075 * (fs / cutoff_hz) ** 2


def detrend(x: NDArray[np.float64], fs: float, cutoff_hz: float = PULSE_BAND_HZ[0]) -> NDArray[np.float64]:
    """Remove the trend of x (..., n) along the last axis by smoothness priors: x - (I + λ²·D₂ᵀD₂)⁻¹x (..., n).

    Tarvainen, Ranta-aho, Karjalainen 2002, IEEE Trans. Biomed. Eng. 49(2):172.
    """
    n = x.shape[-1]
    if n < 4:
        level: NDArray[np.float64] = x.mean(axis=-1, keepdims=True)
        return x - level
    square = smoothness(fs, cutoff_hz) ** 2
    # The five bands of D₂ᵀD₂, upper form: 1; -4 with -2 at both ends; 6 with 1, 5 at both ends.
    bands = np.zeros((3, n))
    bands[0, 2:] = 1.0
    bands[1, 1:] = -4.0
    bands[1, [1, -1]] = -2.0
    bands[2] = 6.0
    bands[2, [0, -1]] = 1.0
    bands[2, [1, -2]] = 5.0
    bands *= square
    bands[2] += 1.0
    flat = x.reshape(-1, n)
    trend: NDArray[np.float64] = solveh_banded(bands, flat.T, check_finite=False).T
    return (flat - trend).reshape(x.shape)


def band_pass(
    x: NDArray[np.float64], fs: float, band_hz: tuple[float, float] = PULSE_BAND_HZ, order: int = 3
) -> NDArray[np.float64]:
    """Filter x (..., n) along the last axis by a Butterworth band-pass, forwards and backwards, without phase shift."""
    sos = _band_sections(fs, band_hz, order)
    # Padding by one period of the lowest frequency lets the filter settle; short clips allow less.
    pad = min(x.shape[-1] - 1, round(fs / band_hz[0]))
    filtered: NDArray[np.float64] = sosfiltfilt(sos, x, axis=-1, padlen=pad)
    return filtered


@lru_cache(maxsize=64)
def _band_sections(fs: float, band_hz: tuple[float, float], order: int) -> NDArray[np.float64]:
    """Second-order sections of a filter, cached: its design takes longer than filtering a clip."""
    sections: NDArray[np.float64] = butter(order, band_hz, btype="bandpass", fs=fs, output="sos")
    return sections


def standardise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale x (..., n) to zero mean and unit deviation along the last axis; a constant becomes zeros."""
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = centred.std(axis=-1, keepdims=True)
    scaled: NDArray[np.float64] = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-12)
    return scaled


def to_pulse_wave(x: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Detrend, band-pass and standardise x (..., n) along the last axis, the last step of every estimator."""
    return standardise(band_pass(detrend(x, fs), fs))
