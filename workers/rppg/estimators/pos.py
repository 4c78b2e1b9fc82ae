"""POS: plane orthogonal to skin.

Wang, den Brinker, Stuijk, de Haan 2017, "Algorithmic principles of remote PPG", IEEE Trans. Biomed. Eng.
64(7):1479, Algorithm 1.
"""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces

#: Length of a window, seconds: 32 frames at 20 Hz in Algorithm 1.
WINDOW_S: Final = 1.6


def project(rgb: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Project colours (3, n), linear RGB sampled at `fs` Hz, to the unfiltered pulse (n,), rising with blood volume.

    In windows of 1.6 s: Cn = C/mean(C), S1 = G - B, S2 = G + B - 2R, h = S1 + (σ(S1)/σ(S2))·S2, its mean removed,
    overlap-added. h follows reflected light, which falls as blood fills the skin: hence the minus sign.
    """
    n = rgb.shape[-1]
    length = min(round(WINDOW_S * fs), n)
    windows = sliding_window_view(rgb, length, axis=-1)  # (3, m, length)
    means = windows.mean(axis=-1, keepdims=True)
    red, green, blue = windows / np.where(means > 0, means, 1.0)
    first = green - blue
    second = green + blue - 2 * red
    spread = second.std(axis=-1, keepdims=True)
    ratio = np.divide(first.std(axis=-1, keepdims=True), spread, out=np.zeros_like(spread), where=spread > 1e-12)
    h = first + ratio * second
    h -= h.mean(axis=-1, keepdims=True)
    wave = np.zeros(n)
    for offset in range(length):
        wave[offset : offset + h.shape[0]] -= h[:, offset]
    return wave


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face, standardised, rising with blood volume."""
    return to_pulse_wave(project(traces.face, traces.fs), traces.fs)
