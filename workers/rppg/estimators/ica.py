"""ICA: the most pulse-like of three independent components.

Poh, McDuff, Picard 2011, "Advancements in noncontact, multiparameter physiological measurements using a webcam",
IEEE Trans. Biomed. Eng. 58(1):7; components by symmetric FastICA (Hyvärinen 1999, IEEE Trans. Neural Netw. 10(3):626).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.signals.filters import standardise, to_pulse_wave
from workers.rppg.signals.spectrum import snr_db, spectrum_of
from workers.rppg.signals.traces import Traces

#: FastICA stops after so many iterations, or when the unmixing matrix changes by less than the tolerance.
_MAX_ITERATIONS: Final = 60
_TOLERANCE: Final = 1e-6


def components(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Separate signals (3, n) into independent components (3, n) of unit variance, deterministically."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    values, vectors = np.linalg.eigh(np.cov(centred))
    white = (vectors / np.sqrt(np.maximum(values, 1e-15))) @ vectors.T @ centred
    n = white.shape[-1]
    unmixing = np.eye(len(white))
    for _ in range(_MAX_ITERATIONS):
        activity = np.tanh(unmixing @ white)
        slope = (1 - activity**2).mean(axis=-1)
        left, _, right = np.linalg.svd(activity @ white.T / n - slope[:, None] * unmixing)
        turned = left @ right
        moved = float(np.max(np.abs(np.abs((turned * unmixing).sum(axis=1)) - 1)))
        unmixing = turned
        if moved < _TOLERANCE:
            break
    found: NDArray[np.float64] = unmixing @ white
    return found


def estimate(traces: Traces) -> NDArray[np.float64]:
    """Return the pulse wave (n,) of the whole face: the component with the clearest peak, its sign from green."""
    colours = to_pulse_wave(traces.face, traces.fs)
    found = standardise(components(colours))
    ratios = []
    for wave in found:
        spectrum = spectrum_of(wave, traces.fs)
        ratios.append(snr_db(spectrum, spectrum.peak_hz()))
    chosen = found[int(np.argmax(ratios))]
    # The sign of a component is arbitrary; blood absorbs green.
    return np.asarray(-chosen if float(chosen @ colours[1]) > 0 else chosen, np.float64)
