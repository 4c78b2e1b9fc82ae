"""2SR: spatial subspace rotation of the skin's pixels.

Wang, Stuijk, de Haan 2016, "A novel algorithm for remote photoplethysmography: spatial subspace rotation",
IEEE Trans. Biomed. Eng. 63(9):1974, Algorithm 1.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import pulse_wave
from workers.rppg.signals.traces import Traces

#: Frames over which a rotation is measured: a second at 20 Hz in the paper.
WINDOW_S: Final = 1.0
#: Part of the crop's side, around its middle, that holds little but face.
_MIDDLE: Final = 0.5
_STEP: Final = 2


def project(pixels: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """(n, m, 3) pixels of the skin → (n,) unfiltered pulse, rising with blood volume.

    With λ and u the eigenvalues and vectors of each frame's C = VᵀV/m, in windows of a second:
    SR' = √(λ₁ᵗ/λ₂⁰)·u₁ᵗᵀ·u₂⁰·u₂⁰ᵀ + √(λ₁ᵗ/λ₃⁰)·u₁ᵗᵀ·u₃⁰·u₃⁰ᵀ; with its first two columns h = SR'₁ - (σ₁/σ₂)·SR'₂,
    overlap-added.
    """
    n = len(pixels)
    length = min(round(WINDOW_S * fs), n)
    values, vectors = np.linalg.eigh(np.einsum("nmi,nmj->nij", pixels, pixels) / pixels.shape[1])
    # eigh sorts upwards, and leaves the sign open.
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
    """(n,) pulse wave of the middle of the crops."""
    side = traces.crops.shape[1]
    low, high = round(side * (1 - _MIDDLE) / 2), round(side * (1 + _MIDDLE) / 2)
    middle = traces.crops[:, low:high:_STEP, low:high:_STEP].astype(np.float64) / 255
    wave = pulse_wave(project(middle.reshape(len(middle), -1, 3), traces.fs), traces.fs)
    green = pulse_wave(traces.face[1], traces.fs)
    # The eigenvectors' signs leave the wave's open as well; blood takes green away.
    return np.asarray(-wave if float(wave @ green) > 0 else wave, np.float64)
