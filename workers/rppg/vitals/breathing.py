"""Belief over the rate of breathing, from several signals that breathing modulates.

Breathing moves the head and modulates the baseline (venous return), the amplitude (stroke volume) and the frequency
(sinus arrhythmia) of the pulse: Karlen, Raman, Ansermino, Dumont 2013, "Multiparameter respiratory rate estimation from
the photoplethysmogram", IEEE Trans. Biomed. Eng. 60(7):1946. There, three rates are averaged if they agree within
4 /min. Here, each signal gives a likelihood of every rate, and the belief is their weighted product with a prior of
resting rates:

    log p(f) = log prior(f) + Σ wᵢ·(N - 2)/2·(-log(1 - ρᵢ(f)))

ρ is the share of a signal's energy in the band that one sine of that rate explains, N the number of independent
samples: the belief over the frequency of a sine in noise of unknown strength (Bretthorst 1988, Bayesian Spectrum
Analysis and Parameter Estimation, ch. 2). Signals are whitened first by their own slope, because drift is strongest at
the lowest rates: a confident rate is reported for 3.5 % of random walks of 15 s, and for 32 % without whitening.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, sosfiltfilt

from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.spectrum import relative
from workers.rppg.signals.traces import Traces

#: Rates (k,) over which belief is spread.
RATES_PER_MIN: Final = np.arange(4.0, 45.01, 0.1)

#: The prior: adults at rest breathe 12 to 20 /min; two standard deviations reach from 7 to 36.
PRIOR_MEDIAN_PER_MIN: Final = 16.0
PRIOR_LOG_SD: Final = 0.4

#: Confidence is the belief within this many breaths a minute of the rate.
GROSS_PER_MIN: Final = 2.0

#: Sampling rate of the signals, Hz: ten times the fastest breathing.
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
class BreathingModel:
    """Parameters of the belief, as calibrated.

    Attributes:
        weights: exponent of each signal's likelihood, by name.
        belief_in_interval: share of the belief that a 90 % interval spans.
        min_half_width_per_min: half-width of that interval at least, breaths a minute.
    """

    weights: dict[str, float]
    belief_in_interval: float
    min_half_width_per_min: float


def _calibrated() -> BreathingModel:
    values = section("respiration")
    return BreathingModel(**{field.name: values[field.name] for field in fields(BreathingModel)})


#: The model as calibrated.
BREATHING: Final = _calibrated()


@dataclass(frozen=True)
class Breathing:
    """Belief over the rate of breathing.

    Attributes:
        belief: (k,) probability of each of `RATES_PER_MIN`.
        rate_per_min: its maximum.
        at_edge: whether that is the first or the last of `RATES_PER_MIN`: it is no peak then, and slower or faster
            breathing has its maximum there as well.
        confidence: belief within `GROSS_PER_MIN` of the peak.
        agreeing: signals whose own spectrum peaks there.
        prominence: height of the peak above the median of the log likelihood, without the prior (natural logarithm).
        wave: (m,) the signal with the largest part in the peak.
        fs: sampling rate of the wave, Hz.
    """

    belief: NDArray[np.float64]
    rate_per_min: float
    at_edge: bool
    confidence: float
    agreeing: tuple[str, ...]
    prominence: float
    wave: NDArray[np.float64]
    fs: float

    def quantile(self, share: float) -> float:
        """Rate, breaths a minute, below which the belief has that share."""
        return float(np.interp(share, np.cumsum(self.belief), RATES_PER_MIN))

    def interval(self) -> tuple[float, float]:
        """Bounds of the 90 % interval, breaths a minute: the calibrated share of the belief, and a width at least."""
        tail = (1 - BREATHING.belief_in_interval) / 2
        half = BREATHING.min_half_width_per_min
        return (
            min(self.quantile(tail), self.rate_per_min - half),
            max(self.quantile(1 - tail), self.rate_per_min + half),
        )


def modulations(
    wave: NDArray[np.float64], raw: NDArray[np.float64], fs: float, rate_per_min: float
) -> dict[str, NDArray[np.float64]]:
    """Return the modulations of the pulse by breathing: `baseline`, `amplitude` and `frequency` (m,) at `SLOW_HZ`.

    `wave` (n,) is a pulse wave of that rate at `fs` Hz, `raw` (n,) the colour that it comes from, with its slow part.
    """
    rate_hz = rate_per_min / 60
    band = (max(0.35, rate_hz - 0.5), min(rate_hz + 0.5, 0.45 * fs))
    narrow = sosfiltfilt(butter(2, band, btype="bandpass", fs=fs, output="sos"), wave)
    analytic = hilbert(narrow)
    envelope = np.abs(analytic)
    frequency = np.gradient(np.unwrap(np.angle(analytic))) * fs / (2 * np.pi)
    slow = butter(2, min(0.9, 0.7 * rate_hz), btype="lowpass", fs=fs, output="sos")
    # If the pulse fades its phase is noise: the weight is its power.
    power = envelope**2
    weight = np.maximum(sosfiltfilt(slow, power), 1e-6 * float(power.mean()) + 1e-300)
    signals = {
        "baseline": sosfiltfilt(slow, raw),
        "amplitude": sosfiltfilt(slow, envelope),
        "frequency": sosfiltfilt(slow, frequency * power) / weight,
    }
    return {name: decimate(signal, fs) for name, signal in signals.items()}


def decimate(signal: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Decimate a signal (n,) at `fs` Hz to about `SLOW_HZ` (m,); it has no power above half of that already."""
    return np.asarray(signal[:: max(1, round(fs / SLOW_HZ))], np.float64)


def explained_share(signal: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """Return the share (k,) of a signal's energy in the band of breathing that a sine of each rate explains.

    A quadratic trend is removed from the signal (n,) at `fs` Hz first, and its spectrum whitened.
    """
    n = len(signal)
    x = np.linspace(-1, 1, n)
    rest = signal - np.polyval(np.polyfit(x, signal, 2), x)
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


def _slope(rest: NDArray[np.float64], frequencies: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Slope α of a spectrum that falls like f^-α over the band: the median over all pairs of its bins (Theil-Sen)."""
    power = np.log(np.abs(np.fft.rfft(rest * np.hanning(len(rest)))[inside]) ** 2 + 1e-300)
    steps = np.log(frequencies[inside])
    first, second = np.triu_indices(len(steps), 1)
    if len(first) == 0:
        return 0.0
    return float(-np.median((power[second] - power[first]) / (steps[second] - steps[first])))


def fuse(signals: Mapping[str, tuple[NDArray[np.float64], float]]) -> Breathing:
    """Return the belief over the rate from signals: for each name, samples (m,) and their sampling rate, Hz.

    Raises:
        ValueError: no signal.
        KeyError: a signal has no weight in the calibration.
    """
    if not signals:
        msg = "no signal"
        raise ValueError(msg)
    calibrated = BREATHING.weights
    # The weight of a missing signal is distributed over the others.
    share = sum(calibrated.values()) / sum(calibrated[name] for name in signals)
    weights = {name: share * calibrated[name] for name in signals}
    spectra = {name: explained_share(signal, fs) for name, (signal, fs) in signals.items()}
    evidence = np.zeros(len(RATES_PER_MIN))
    for name, (signal, fs) in signals.items():
        independent = 2 * (BREATHING_BAND_HZ[1] - BREATHING_BAND_HZ[0]) * len(signal) / fs
        evidence -= weights[name] * (independent - 2) / 2 * np.log(1 - spectra[name])
    prior = -0.5 * (np.log(RATES_PER_MIN / PRIOR_MEDIAN_PER_MIN) / PRIOR_LOG_SD) ** 2
    log_belief = evidence + prior
    belief = np.exp(log_belief - log_belief.max())
    belief /= belief.sum()
    peak = int(np.argmax(belief))
    rate = float(RATES_PER_MIN[peak])
    near = np.abs(RATES_PER_MIN - rate) <= GROSS_PER_MIN
    agreeing = tuple(
        name
        for name, spectrum in spectra.items()
        if abs(float(RATES_PER_MIN[np.argmax(spectrum)]) - rate) <= GROSS_PER_MIN
    )
    leading = max(agreeing or tuple(spectra), key=lambda name: weights[name] * float(spectra[name][peak]))
    wave, fs = signals[leading]
    return Breathing(
        belief=belief,
        rate_per_min=rate,
        at_edge=not 0 < peak < len(belief) - 1,
        confidence=float(belief[near].sum()),
        agreeing=agreeing,
        prominence=float(evidence[peak] - np.median(evidence)),
        wave=wave,
        fs=fs,
    )


def breathing_of(traces: Traces, pulse: Pulse) -> Breathing:
    """Return the belief over the rate from everything in the traces that breathing modulates."""
    signals = modulations(pulse.wave, relative(traces.face[1]), traces.fs, pulse.rate_per_min)
    signals["head"] = decimate(traces.position[1], traces.fs)
    if traces.chest is not None:
        signals["chest"] = decimate(traces.chest, traces.fs)
    fs = traces.fs / max(1, round(traces.fs / 7.5))
    return fuse({name: (signal, fs) for name, signal in signals.items()})
