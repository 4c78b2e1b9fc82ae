"""LGI: local group invariance.

Pilz, Zaunseder, Krajewski, Blazek 2018, "Local group invariance for heart rate estimation from face videos in
the wild", CVPRW.
"""

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces


def project(rgb: NDArray[np.float64], fs: float) -> NDArray[np.float64]:  # noqa: ARG001  (the common signature)
    """Project colours (3, n), linear RGB sampled at `fs` Hz, to the unfiltered pulse (n,), rising with blood volume.

    With u the first left singular vector of the colours, the direction of light and movement:
    P = I - u·uᵀ, and the green row of P·C.
    """
    means = rgb.mean(axis=-1, keepdims=True)
    colour = rgb / np.where(means > 0, means, 1.0)
    u = np.linalg.svd(colour, full_matrices=False)[0][:, :1]
    rows: NDArray[np.float64] = (np.eye(3) - u @ u.T) @ colour
    wave: NDArray[np.float64] = -rows[1]
    return wave


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face, standardised, rising with blood volume."""
    return to_pulse_wave(project(traces.face, traces.fs), traces.fs)
