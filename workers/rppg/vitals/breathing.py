"""Belief over the rate of breathing, from the motion of shoulders and chest.

The belief over the frequency of one sine in noise of unknown strength (Bretthorst 1988, Bayesian Spectrum Analysis and
Parameter Estimation, ch. 2), with a prior of resting rates:

    log p(f) = log prior(f) - (N - 2)/2 · log(1 - ρ(f))

ρ is the share of the signal's energy in the band that a sine of that rate explains, N the number of independent
samples. The signal is whitened first by its own slope, because drift is strongest at the lowest rates.

The colour of the skin is not used. On rendered clips with an accepted pulse, the modulations of the pulse by breathing
(its baseline, amplitude and frequency, Karlen et al. 2013) gave 27 rates in 139 clips without the chest, 8 of them off
by more than 4 /min, and they improved no rate of the chest.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.signal
from numpy.typing import NDArray

#: Rates (k,) over which belief is spread.
RATES_PER_MIN: Final = np.arange(4.0, 45.01, 0.1)

#: The prior: adults at rest breathe 12 to 20 /min; two standard deviations reach from 7 to 36.
PRIOR_MEDIAN_PER_MIN: Final = 16.0
PRIOR_LOG_SD: Final = 0.4

#: Confidence is the belief within this many breaths a minute of the rate.
GROSS_PER_MIN: Final = 2.0

#: Sampling rate of the signal, Hz: ten times the fastest breathing.
SLOW_HZ: Final = 7.5

#: Bounds of the slope that is whitened: with less, drift would dominate; with more, noise above fast breathing would.
WHITENING: Final = (0.5, 1.5)

#: The band of breathing, Hz.
BREATHING_BAND_HZ: Final = (0.8 * 4 / 60, 1.15 * 45 / 60)

#: Length of the zero-padded Fourier transform.
_TRANSFORM: Final = 8192
#: Upper bound of the share that a sine explains: the likelihood is infinite at 1.
_MAX_EXPLAINED: Final = 0.999


@dataclass(frozen=True)
class Breathing:
    """Belief over the rate of breathing.

    Attributes:
        belief: (k,) probability of each of `RATES_PER_MIN`.
        rate_per_min: its maximum.
        at_edge: whether that is the first or the last of `RATES_PER_MIN`: it is no peak then, and slower or faster
            breathing has its maximum there as well.
        confidence: belief within `GROSS_PER_MIN` of the peak.
        prominence: height of the peak above the median of the log likelihood, without the prior (natural logarithm).
        explained: share of the signal's energy in the band that a sine of the rate explains.
        wave: (m,) the signal.
        fs: its sampling rate, Hz.
    """

    belief: NDArray[np.float64]
    rate_per_min: float
    at_edge: bool
    confidence: float
    prominence: float
    explained: float
    wave: NDArray[np.float64]
    fs: float

    @property
    def duration_s(self) -> float:
        """Length of the signal in seconds."""
        return len(self.wave) / self.fs


def breathing_of(position: NDArray[np.float64], fs: float) -> Breathing:
    """Return the belief over the rate from a position (n,) at `fs` Hz that moves with the breath."""
    wave, slow_hz = decimate(position, fs)
    shares = explained_share(wave, slow_hz)
    independent = 2 * (BREATHING_BAND_HZ[1] - BREATHING_BAND_HZ[0]) * len(wave) / slow_hz
    evidence = -(independent - 2) / 2 * np.log(1 - shares)
    log_belief = evidence - 0.5 * (np.log(RATES_PER_MIN / PRIOR_MEDIAN_PER_MIN) / PRIOR_LOG_SD) ** 2
    belief = np.exp(log_belief - log_belief.max())
    belief /= belief.sum()
    peak = int(np.argmax(belief))
    rate = float(RATES_PER_MIN[peak])
    return Breathing(
        belief=belief,
        rate_per_min=rate,
        at_edge=not 0 < peak < len(belief) - 1,
        confidence=float(belief[np.abs(RATES_PER_MIN - rate) <= GROSS_PER_MIN].sum()),
        prominence=float(evidence[peak] - np.median(evidence)),
        explained=float(shares[peak]),
        wave=wave,
        fs=slow_hz,
    )


def decimate(signal: NDArray[np.float64], fs: float) -> tuple[NDArray[np.float64], float]:
    """Decimate a signal (n,) at `fs` Hz to about `SLOW_HZ`, and return it (m,) with its sampling rate, Hz.

    A low-pass filter comes first: without it, what shakes at 7.25 Hz would become a breath of 15 /min.
    """
    factor = max(1, round(fs / SLOW_HZ))
    slow = scipy.signal.decimate(signal, factor) if factor > 1 else signal
    return np.asarray(slow, np.float64), fs / factor


def explained_share(signal: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Return the share (k,) of a signal's energy in the band of breathing that a sine of each rate explains.

    A quadratic trend is removed from the signal (n,) at `fs` Hz first, and its spectrum whitened.
    """
    n = len(signal)
    rest = without_trend(signal)
    if float(rest.std()) <= 1e-12:
        return np.zeros(len(RATES_PER_MIN))
    frequencies = np.asarray(np.fft.rfftfreq(n, 1 / fs), np.float64)
    inside = (frequencies >= BREATHING_BAND_HZ[0]) & (frequencies <= BREATHING_BAND_HZ[1])
    slope = np.clip(_slope(rest, frequencies, inside), *WHITENING)
    gain = np.zeros(len(frequencies))
    gain[inside] = frequencies[inside] ** (slope / 2)
    white = np.fft.irfft(np.fft.rfft(rest) * gain, n)
    energy = float((white**2).sum())
    if energy <= 0:
        return np.zeros(len(RATES_PER_MIN))
    power = np.abs(np.fft.rfft(white, _TRANSFORM)) ** 2
    at = np.interp(RATES_PER_MIN / 60, np.fft.rfftfreq(_TRANSFORM, 1 / fs), power)
    return np.asarray(np.clip(2 * at / (n * energy), 0.0, _MAX_EXPLAINED), np.float64)


def without_trend(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a signal (n,) without its quadratic trend."""
    x = np.linspace(-1, 1, len(signal))
    return np.asarray(signal - np.polyval(np.polyfit(x, signal, 2), x), np.float64)


def _slope(rest: NDArray[np.float64], frequencies: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Slope α of a spectrum that falls like f^-α over the band: the median over all pairs of its bins (Theil-Sen)."""
    power = np.log(np.abs(np.fft.rfft(rest * np.hanning(len(rest)))[inside]) ** 2 + 1e-300)
    steps = np.log(frequencies[inside])
    first, second = np.triu_indices(len(steps), 1)
    if len(first) == 0:
        return 0.0
    return float(-np.median((power[second] - power[first]) / (steps[second] - steps[first])))
