"""Power spectra of waves: the peak, and its signal-to-noise ratio."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.signal.windows import hann

from workers.rppg.signals.filters import PULSE_BAND_HZ, detrend

#: Zero-padding to this step makes the quadratic peak's own error negligible (below 0.01 /min).
STEP_HZ: Final = 0.005

#: Half-width, Hz, of what counts as the pulse around its rate and twice its rate: 6 /min.
SIGNAL_HALF_WIDTH_HZ: Final = 0.1


@dataclass(frozen=True)
class PowerSpectrum:
    """Power spectrum inside a band: `power` (..., k) over `frequencies_hz` (k,)."""

    frequencies_hz: NDArray[np.float64]
    power: NDArray[np.float64]

    @property
    def has_peak(self) -> bool:
        """Whether the highest power of a 1-D spectrum is a peak, and not at an edge of the band."""
        return 0 < int(np.argmax(self.power)) < len(self.power) - 1

    def peak_hz(self) -> float:
        """Frequency, Hz, of the highest power of a 1-D spectrum, refined by a parabola through logarithms.

        It is an edge of the band if the highest power is there: `has_peak` is False then.
        """
        return refine(self.frequencies_hz, self.power, int(np.argmax(self.power)))


def spectrum_of(wave: NDArray[np.float64], fs: float, band_hz: tuple[float, float] = PULSE_BAND_HZ) -> PowerSpectrum:
    """Return the Hann-windowed power spectrum of `wave` (..., n) in the band, zero-padded to `STEP_HZ` or finer."""
    frequencies, values = transform(wave, fs, band_hz)
    power = np.square(np.abs(values))
    return PowerSpectrum(frequencies, power)


def transform(
    wave: NDArray[np.float64], fs: float, band_hz: tuple[float, float] = PULSE_BAND_HZ
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the frequencies (k,) of the band and the complex Hann-windowed transform (..., k) of `wave` (..., n)."""
    n = wave.shape[-1]
    length = next_fast_len(max(round(fs / STEP_HZ), n), real=True)
    values: NDArray[np.complex128] = rfft(wave * hann(n, sym=False), length, axis=-1)
    frequencies = np.arange(values.shape[-1]) * fs / length
    inside = (frequencies >= band_hz[0]) & (frequencies <= band_hz[1])
    return frequencies[inside], values[..., inside]


def refine(frequencies_hz: NDArray[np.float64], power: NDArray[np.float64], index: int) -> float:
    """Return the frequency, Hz, of the peak at `index`, by a parabola through the logarithms of three neighbours."""
    if not 0 < index < len(power) - 1 or power[index - 1 : index + 2].min() <= 0:
        return float(frequencies_hz[index])
    left, middle, right = np.log(power[index - 1 : index + 2])
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(frequencies_hz[index] + shift * (frequencies_hz[1] - frequencies_hz[0]))


def snr_db(spectrum: PowerSpectrum, rate_hz: float) -> float:
    """Return the power within ±6 /min of a rate and of its double over the rest of a 1-D spectrum, in decibels.

    de Haan, Jeanne 2013, IEEE Trans. Biomed. Eng. 60(10):2878.
    """
    f = spectrum.frequencies_hz
    near = (np.abs(f - rate_hz) <= SIGNAL_HALF_WIDTH_HZ) | (np.abs(f - 2 * rate_hz) <= SIGNAL_HALF_WIDTH_HZ)
    signal = float(spectrum.power[near].sum())
    rest = float(spectrum.power[~near].sum())
    if signal <= 0:
        return -60.0
    return float(np.clip(10 * np.log10(signal / max(rest, signal * 1e-6)), -60, 60))


def relative(channel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative change (n,) of a colour channel (n,): over its mean, less one."""
    return channel / max(float(channel.mean()), 1e-9) - 1.0


def amplitude(signal: NDArray[np.float64], fs: float, rate_hz: float) -> float:
    """Amplitude of a sine with the power that the signal (n,) has within ±6 /min of a rate."""
    n = len(signal)
    frequencies, x = transform(detrend(signal, fs), fs)
    near = np.abs(frequencies - rate_hz) <= SIGNAL_HALF_WIDTH_HZ
    # A sine of amplitude 1 puts n²/16 at its peak under a Hann window, over a main lobe of 1.5 bins of 1/duration.
    step = frequencies[1] - frequencies[0]
    return float(np.sqrt((np.abs(x[near]) ** 2).sum() * step * (n / fs) / 1.5 * 16 / n**2))
