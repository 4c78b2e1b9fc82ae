"""CHROM: chrominance of skin under white light.

de Haan, Jeanne 2013, "Robust pulse rate from chrominance-based rPPG", IEEE Trans. Biomed. Eng. 60(10):2878.
"""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal.windows import hann

from workers.rppg.signals.filters import PULSE_BAND_HZ, band_pass, to_pulse_wave
from workers.rppg.signals.traces import Traces

#: Length of a window, seconds.
WINDOW_S: Final = 1.6


def project(rgb: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Project colours (3, n), linear RGB sampled at `fs` Hz, to the unfiltered pulse (n,), rising with blood volume.

    Xs = 3R - 2G, Ys = 1.5R + G - 1.5B of colours over their means, band-passed; in Hann windows of 1.6 s that overlap
    by half: S = Xf - (σ(Xf)/σ(Yf))·Yf, overlap-added.
    """
    n = rgb.shape[-1]
    means = rgb.mean(axis=-1, keepdims=True)
    red, green, blue = rgb / np.where(means > 0, means, 1.0)
    x, y = band_pass(np.stack((3 * red - 2 * green, 1.5 * red + green - 1.5 * blue)), fs, PULSE_BAND_HZ)
    length = min(round(WINDOW_S * fs / 2) * 2, n)
    hop = max(length // 2, 1)
    # Zeros on both sides, half a window of them, cover the clip's ends by two windows as well.
    tail = hop + (-n) % hop
    x, y = (np.pad(signal, (hop, tail)) for signal in (x, y))
    xs = sliding_window_view(x, length)[::hop]
    ys = sliding_window_view(y, length)[::hop]
    spread = ys.std(axis=-1, keepdims=True)
    ratio = np.divide(xs.std(axis=-1, keepdims=True), spread, out=np.zeros_like(spread), where=spread > 1e-12)
    windows = (xs - ratio * ys) * hann(length, sym=False)
    wave = np.zeros(len(x))
    for index, window in enumerate(windows):
        wave[index * hop : index * hop + length] += window
    return wave[hop : hop + n]


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face, standardised, rising with blood volume."""
    return to_pulse_wave(project(traces.face, traces.fs), traces.fs)
