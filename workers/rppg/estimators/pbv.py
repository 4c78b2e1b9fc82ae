"""PBV: the signature of blood volume.

de Haan, van Leest 2014, "Improved motion robustness of remote-PPG by using the blood volume pulse signature",
Physiol. Meas. 35(9):1913.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import band_pass, to_pulse_wave
from workers.rppg.signals.traces import Traces

#: Relative modulation of red, green and blue by blood (the paper's).
SIGNATURE: Final = np.array([0.33, 0.77, 0.53])


def project(rgb: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Project colours (3, n), linear RGB sampled at `fs` Hz, to the unfiltered pulse (n,), rising with blood volume.

    With the normalised, band-passed colours C and Q = C·Cᵀ: the weights w ∝ Q⁻¹·P of the pulse w·C whose correlation
    with the colours is the signature P.
    """
    means = rgb.mean(axis=-1, keepdims=True)
    colours = band_pass(rgb / np.where(means > 0, means, 1.0) - 1.0, fs)
    covariance = colours @ colours.T
    # Without noise the covariance is singular; a millionth of its power changes no pulse.
    weights = np.linalg.solve(covariance + 1e-6 * np.trace(covariance) * np.eye(3) + 1e-18 * np.eye(3), SIGNATURE)
    wave: NDArray[np.float64] = -(weights @ colours)
    return wave


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face, standardised, rising with blood volume."""
    return to_pulse_wave(project(traces.face, traces.fs), traces.fs)
