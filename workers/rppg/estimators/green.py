"""GREEN: the channel that blood absorbs most.

Verkruysse, Svaasand, Nelson 2008, "Remote plethysmographic imaging using ambient light", Optics Express 16(26):21434.
"""

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import to_pulse_wave
from workers.rppg.signals.traces import Traces


def project(rgb: NDArray[np.float64], fs: float) -> NDArray[np.float64]:  # noqa: ARG001  (the common signature)
    """Project colours (3, n), linear RGB, to the unfiltered pulse (n,), rising with blood volume: -G/mean(G)."""
    green: NDArray[np.float64] = rgb[1]
    return -green / max(float(green.mean()), 1e-9)


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face, standardised, rising with blood volume."""
    return to_pulse_wave(project(traces.face, traces.fs), traces.fs)
