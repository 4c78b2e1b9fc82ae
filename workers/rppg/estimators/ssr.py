"""2SR: spatial subspace rotation of the skin's pixels.

Wang, Stuijk, de Haan 2016, "A novel algorithm for remote photoplethysmography: spatial subspace rotation",
IEEE Trans. Biomed. Eng. 63(9):1974, Algorithm 1.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces

#: Seconds over which a rotation is measured: 20 frames at 20 Hz in the paper.
WINDOW_S: Final = 1.0
#: Part of the crop's side, around its middle, that is used: it shows little but the face.
_MIDDLE: Final = 0.5
#: Every so-many-th pixel is used.
_STEP: Final = 2


def project(pixels: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Project the skin's pixels (n, m, 3), sampled at `fs` Hz, to the unfiltered pulse (n,), rising with blood volume.

    With λ and u the eigenvalues and vectors of each frame's C = VᵀV/m, in windows of a second:
    SR' = √(λ₁ᵗ/λ₂⁰)·u₁ᵗᵀ·u₂⁰·u₂⁰ᵀ + √(λ₁ᵗ/λ₃⁰)·u₁ᵗᵀ·u₃⁰·u₃⁰ᵀ; with its first two columns h = SR'₁ - (σ₁/σ₂)·SR'₂,
    overlap-added.
    """
    n = len(pixels)
    length = min(round(WINDOW_S * fs), n)
    values, vectors = np.linalg.eigh(np.einsum("nmi,nmj->nij", pixels, pixels) / pixels.shape[1])
    # eigh sorts in ascending order, and the sign is arbitrary.
    first = vectors[:, :, 2] * np.sign(vectors[:, :, 2].sum(axis=1, keepdims=True))
    wave = np.zeros(n)
    for start in range(n - length + 1):
        window = slice(start, start + length)
        rotation = np.zeros((length, 3))
        for other in (1, 0):
            axis = vectors[start, :, other]
            scale = np.sqrt(values[window, 2] / max(float(values[start, other]), 1e-12))
            rotation += (scale * (first[window] @ axis))[:, None] * axis
        spread = float(rotation[:, 1].std())
        h = rotation[:, 0] - (float(rotation[:, 0].std()) / spread if spread > 0 else 0.0) * rotation[:, 1]
        wave[window] += h - h.mean()
    return wave


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the middle of the crops, standardised, rising with blood volume."""
    side = traces.crops.shape[1]
    low, high = round(side * (1 - _MIDDLE) / 2), round(side * (1 + _MIDDLE) / 2)
    middle = traces.crops[:, low:high:_STEP, low:high:_STEP].astype(np.float64) / 255
    wave = to_pulse_wave(project(middle.reshape(len(middle), -1, 3), traces.fs), traces.fs)
    green = to_pulse_wave(traces.face[1], traces.fs)
    # So is the sign of the wave; blood absorbs green.
    return np.asarray(-wave if float(wave @ green) > 0 else wave, np.float64)
