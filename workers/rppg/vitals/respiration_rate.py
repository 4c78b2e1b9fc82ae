"""Respiration rate: several signals that breathing moves, fused into one belief over the rate.

Breathing moves the head and, in the pulse, the baseline (venous return), the amplitude (stroke volume) and the
frequency (sinus arrhythmia): Karlen, Raman, Ansermino, Dumont 2013, "Multiparameter respiratory rate estimation from
the photoplethysmogram", IEEE Trans. Biomed. Eng. 60(7):1946. There, three rates are averaged where they agree within
4 /min; here, each signal gives a likelihood of every rate, and the belief is their weighted product with a prior of how
people breathe:

    log p(f) = log prior(f) + Σ wᵢ·(N - 2)/2·(-log(1 - ρᵢ(f)))

ρ is the share of a signal's energy in the band that one sine of that rate explains, N the number of independent
samples: the belief over the frequency of a sine in noise of unknown strength (Bretthorst 1988, Bayesian Spectrum
Analysis and Parameter Estimation, ch. 2). Signals are whitened first by their own slope, because what drifts has its
largest sine at its lowest rate: of random walks of 15 s, 32 % would be told a rate with confidence, and 3.5 % are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, hilbert, sosfiltfilt

from shared.schemas import Baseline, RespirationRate, VitalStatus
from shared.vitals import RESPIRATION_RATE, Reason
from workers.rppg.fusion.calibration import CALIBRATION
from workers.rppg.vitals.method import method_of

Array = NDArray[np.float64]

#: Rates over which belief is spread.
RATES_PER_MIN: Final = np.arange(4.0, 45.01, 0.1)

#: The prior: adults at rest breathe 12 to 20 /min; two standard deviations reach from 7 to 36.
PRIOR_MEDIAN_PER_MIN: Final = 16.0
PRIOR_LOG_SD: Final = 0.4

#: Confidence is the belief within this many breaths a minute of the rate told.
GROSS_PER_MIN: Final = 2.0

#: Sampling rate of the signals that breathing moves: ten times the fastest breathing.
SLOW_HZ: Final = 7.5

#: Always answering the mean misses the reference by this much (VitalLens technical report).
BASELINE: Final = Baseline(value=16.0, mae=3.81, source="a constant, on VV-Medium")

INTERVAL_LEVEL: Final = 0.9

#: Slopes that are whitened: less would leave drift its say, more would lift the noise above fast breathing.
WHITENING: Final = (0.5, 1.5)

_TRANSFORM: Final = 8192
_BAND_HZ: Final = (0.8 * 4 / 60, 1.15 * 45 / 60)
_MOST_EXPLAINED: Final = 0.999


@dataclass(frozen=True)
class Breathing:
    """Belief over `RATES_PER_MIN` (k,), its peak, how much lies within `GROSS_PER_MIN` of it, and the wave behind it.

    `agreeing` are the signals whose own spectrum peaks there; `prominence` is how far the signals together lift the
    peak
    above the middle of the belief (natural logarithm), the prior left out.
    """

    belief: Array
    rate_per_min: float
    confidence: float
    agreeing: tuple[str, ...]
    prominence: float
    wave: Array
    fs: float

    def quantile(self, share: float) -> float:
        """Rate below which that share of the belief lies."""
        return float(np.interp(share, np.cumsum(self.belief), RATES_PER_MIN))

    def interval(self) -> tuple[float, float]:
        """What a 90 % interval spans: the calibrated share of the belief, and a least width."""
        tail = (1 - CALIBRATION.respiration.belief_in_interval) / 2
        half = CALIBRATION.respiration.least_half_width_per_min
        return (
            min(self.quantile(tail), self.rate_per_min - half),
            max(self.quantile(1 - tail), self.rate_per_min + half),
        )


def modulations(wave: Array, raw: Array, fs: float, rate_per_min: float) -> dict[str, Array]:
    """What breathing does to the pulse: `baseline`, `amplitude` and `frequency` (m,) at `SLOW_HZ`.

    `wave` (n,) is a pulse wave of that rate, `raw` (n,) the colour it comes from, its slow part not taken away.
    """
    rate_hz = rate_per_min / 60
    band = (max(0.35, rate_hz - 0.5), min(rate_hz + 0.5, 0.45 * fs))
    narrow = sosfiltfilt(butter(2, band, btype="bandpass", fs=fs, output="sos"), wave)
    analytic = hilbert(narrow)
    envelope = np.abs(analytic)
    frequency = np.gradient(np.unwrap(np.angle(analytic))) * fs / (2 * np.pi)
    slow = butter(2, min(0.9, 0.7 * rate_hz), btype="lowpass", fs=fs, output="sos")
    # Where the pulse fades its phase is noise, and counts for as little as its power.
    power = envelope**2
    weight = np.maximum(sosfiltfilt(slow, power), 1e-6 * float(power.mean()) + 1e-300)
    signals = {
        "baseline": sosfiltfilt(slow, raw),
        "amplitude": sosfiltfilt(slow, envelope),
        "frequency": sosfiltfilt(slow, frequency * power) / weight,
    }
    return {name: slow_down(signal, fs) for name, signal in signals.items()}


def slow_down(signal: Array, fs: float) -> Array:
    """Every so-manieth sample, so that `SLOW_HZ` remain; the signal is already free of what lies above half of that."""
    return np.asarray(signal[:: max(1, round(fs / SLOW_HZ))], np.float64)


def explained(signal: Array, fs: float) -> Array:
    """Share of a signal's energy in the band of breathing that a sine of each of `RATES_PER_MIN` explains (k,).

    A curved trend is taken away and the spectrum whitened before.
    """
    n = len(signal)
    x = np.linspace(-1, 1, n)
    rest = signal - np.polyval(np.polyfit(x, signal, 2), x)
    if float(rest.std()) <= 1e-12:
        return np.zeros(len(RATES_PER_MIN))
    frequencies = np.fft.rfftfreq(n, 1 / fs)
    inside = (frequencies >= _BAND_HZ[0]) & (frequencies <= _BAND_HZ[1])
    slope = np.clip(_slope(rest, frequencies, inside), *WHITENING)
    gain = np.zeros(len(frequencies))
    gain[inside] = frequencies[inside] ** (slope / 2)
    white = np.fft.irfft(np.fft.rfft(rest) * gain, n)
    energy = float((white**2).sum())
    if energy <= 0:
        return np.zeros(len(RATES_PER_MIN))
    power = np.abs(np.fft.rfft(white, _TRANSFORM)) ** 2
    at = np.interp(RATES_PER_MIN / 60, np.fft.rfftfreq(_TRANSFORM, 1 / fs), power)
    return np.asarray(np.clip(2 * at / (n * energy), 0.0, _MOST_EXPLAINED), np.float64)


def _slope(rest: Array, frequencies: Array, inside: NDArray[np.bool_]) -> float:
    """α of a spectrum that falls like f^-α over the band: the median of the slopes between all pairs of its bins."""
    power = np.log(np.abs(np.fft.rfft(rest * np.hanning(len(rest)))[inside]) ** 2 + 1e-300)
    steps = np.log(frequencies[inside])
    first, second = np.triu_indices(len(steps), 1)
    if len(first) == 0:
        return 0.0
    return float(-np.median((power[second] - power[first]) / (steps[second] - steps[first])))


def fuse(signals: Mapping[str, tuple[Array, float]]) -> Breathing:
    """Belief over the rate from signals (name → samples (m,), sampling rate), weighted as calibrated.

    Raises ValueError for no signal at all.
    """
    if not signals:
        msg = "no signal"
        raise ValueError(msg)
    calibrated = CALIBRATION.respiration.weights
    # What is not to be seen leaves its say to the others.
    share = sum(calibrated.values()) / sum(calibrated[name] for name in signals)
    weights = {name: share * calibrated[name] for name in signals}
    spectra = {name: explained(signal, fs) for name, (signal, fs) in signals.items()}
    evidence = np.zeros(len(RATES_PER_MIN))
    for name, (signal, fs) in signals.items():
        independent = 2 * (_BAND_HZ[1] - _BAND_HZ[0]) * len(signal) / fs
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
        confidence=float(belief[near].sum()),
        agreeing=agreeing,
        prominence=float(evidence[peak] - np.median(evidence)),
        wave=wave,
        fs=fs,
    )


def chest_alone(chest: Array, head: Array, fs: float) -> Breathing | None:
    """Breathing from the heights (n,) of chest and head alone, where no pulse was found; None where none is sure.

    A picture's chest does not move, a waved one's moves by a face's width, and both move as their head does.
    """
    gate = CALIBRATION.respiration
    breathing = fuse({name: (slow_down(height, fs), SLOW_HZ) for name, height in (("head", head), ("chest", chest))})
    at = int(np.argmax(breathing.belief))
    own = explained(slow_down(chest - head, fs), SLOW_HZ)[at] * _swing(chest - head, fs)
    moves = gate.chest_swing[0] <= _swing(chest, fs) <= gate.chest_swing[1] and own >= gate.chest_swing[0] / 2
    clear = explained(slow_down(chest, fs), SLOW_HZ)[at] >= gate.chest_explained
    return breathing if moves and clear and "chest" in breathing.agreeing and refusal(breathing) is None else None


def _swing(height: Array, fs: float) -> float:
    """Amplitude in the band of breathing."""
    sos = butter(2, _BAND_HZ, btype="bandpass", fs=fs, output="sos")
    return float(np.sqrt(2) * sosfiltfilt(sos, height).std())


def refusal(breathing: Breathing) -> str | None:
    """Why the belief can't carry a rate; None where it can."""
    gate = CALIBRATION.respiration
    if breathing.prominence < gate.prominence:
        return "nothing that breathing moves has a rhythm"
    if breathing.confidence < gate.confidence:
        return f"the likeliest rate has {breathing.confidence:.0%} confidence"
    return None


def respiration_rate(breathing: Breathing, models: Iterable[str], frames: int) -> RespirationRate:
    """The vital `respiration_rate`, or abstained: never a default."""
    spec = RESPIRATION_RATE
    method = method_of("belief over " + ", ".join(CALIBRATION.respiration.weights), models, frames)
    refused = refusal(breathing)
    if refused is not None:
        return RespirationRate.without_value(
            spec.unit, VitalStatus.ABSTAINED, Reason.NO_BREATHING_SIGNAL, refused, method
        )
    rate = breathing.rate_per_min
    low, high = breathing.interval()
    return RespirationRate(
        value=round(rate, 1),
        unit=spec.unit,
        status=VitalStatus.OK,
        interval=(round(low, 1), round(high, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method,
        diagnostics={
            "confidence": round(breathing.confidence, 4),
            "prominence": round(breathing.prominence, 2),
            "signals_agreeing": float(len(breathing.agreeing)),
        },
    )
