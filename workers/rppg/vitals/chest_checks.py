"""What moves or lights a chest without breathing: the motion of the head, and changes of the light.

A printed portrait moves as one piece, and the shoulders of a doll sway with its head: the head's motion at other rates
then predicts the chest's motion at the rate of breathing. A breath moves the chest on its own.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.breathing import BREATHING_BAND_HZ, without_trend

#: Band in which the head's motion is compared with the chest's, Hz.
_MOTION_BAND_HZ: Final = (0.1, 2.0)
#: Half-width of the band around the rate of breathing that is left out of the comparison, Hz.
_NEAR_HZ: Final = 0.1
#: Smallest linear light whose logarithm is taken.
_MIN_LIGHT: Final = 1e-6


@dataclass(frozen=True)
class ChestChecks:
    """How a chest moves at a rate, and what else could be the cause.

    Attributes:
        amplitude: of the chest's motion at the rate, face widths.
        own: share of that motion that is left without what the head's motion at other rates predicts.
        lit: how much skin and surroundings vary as the chest moves, a correlation in [0, 1]: the lower one of the
            face's and of the larger one of clothes and background.
    """

    amplitude: float
    own: float
    lit: float

    @property
    def own_amplitude(self) -> float:
        """Amplitude that the head's motion does not predict, face widths."""
        return self.amplitude * min(self.own, 1.0)


def chest_checks(chest: NDArray[np.float64], traces: Traces, rate_per_min: float) -> ChestChecks:
    """Check the motion of a chest (n,), face widths, at a rate."""
    rate_hz = rate_per_min / 60
    own = 1.0 if traces.head is None else own_share(chest, traces.head, traces.fs, rate_hz)
    return ChestChecks(amplitude_at(chest, traces.fs, rate_hz), own, _lit(chest, traces))


def amplitude_at(position: NDArray[np.float64], fs: float, rate_hz: float) -> float:
    """Return the amplitude of the sine of a rate, Hz, that fits a position (n,) at `fs` Hz best, beside its trend."""
    times = np.arange(len(position)) / fs
    phase = 2 * np.pi * rate_hz * times
    columns = np.stack((np.cos(phase), np.sin(phase), np.ones_like(times), times, times**2), axis=1)
    found = np.linalg.lstsq(columns, position)[0]
    return float(np.hypot(found[0], found[1]))


def own_share(chest: NDArray[np.float64], head: NDArray[np.float64], fs: float, rate_hz: float) -> float:
    """Return the share of the chest's motion (n,) near a rate, Hz, that the head's motion does not predict.

    The head's axes (k, n) are fitted to the chest by least squares at all other rates of the band.
    """
    window = np.hanning(len(chest))
    moved = np.fft.rfft(without_trend(chest) * window)
    axes = np.fft.rfft(np.stack([without_trend(axis) for axis in head]) * window)
    frequencies = np.fft.rfftfreq(len(chest), 1 / fs)
    near = np.abs(frequencies - rate_hz) <= _NEAR_HZ
    others = (frequencies >= _MOTION_BAND_HZ[0]) & (frequencies <= _MOTION_BAND_HZ[1]) & ~near
    columns = np.concatenate((axes[:, others].real, axes[:, others].imag), axis=1).T
    gains = np.linalg.lstsq(columns, np.concatenate((moved[others].real, moved[others].imag)))[0]
    left = np.linalg.norm((moved - gains @ axes)[near])
    return float(left / max(float(np.linalg.norm(moved[near])), 1e-12))


def _lit(chest: NDArray[np.float64], traces: Traces) -> float:
    """Correlation of the chest's motion (n,) with light that skin and surroundings share."""
    around = [traces.background[1]] if traces.clothes is None else [traces.background[1], traces.clothes[1]]
    return min(_alike(traces.face[1], chest, traces.fs), max(_alike(light, chest, traces.fs) for light in around))


def _alike(light: NDArray[np.float64], chest: NDArray[np.float64], fs: float) -> float:
    """Absolute correlation, in the band of breathing, of the logarithm of a light (n,) with the chest's motion (n,)."""
    if not np.isfinite(light).all():
        return 0.0
    sos = butter(2, BREATHING_BAND_HZ, btype="bandpass", fs=fs, output="sos")
    first, second = (sosfiltfilt(sos, signal) for signal in (np.log(np.maximum(light, _MIN_LIGHT)), chest))
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(abs(first @ second) / scale) if scale > 0 else 0.0
