"""Heart-rate variability of the beats: each measure with its own minimum length, status and interval.

Definitions: Task Force of the ESC and NASPE 1996, Circulation 93:1043, tables 1 and 2.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend
from scipy.stats import chi2

from shared.schemas import HeartRateVariability, Interval, Measure, VitalStatus
from shared.vitals import HEART_RATE_VARIABILITY, VARIABILITY, Reason, VariabilitySpec
from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.beats import Beats, beats_of
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of

#: Level of the intervals.
LEVEL: Final = 0.9
#: Bands, Hz, and the rate at which intervals are resampled for their spectrum, Hz.
LOW_BAND_HZ: Final = (0.04, 0.15)
HIGH_BAND_HZ: Final = (0.15, 0.40)
TACHOGRAM_HZ: Final = 4.0

#: Intervals, and the share of them that is kept, that variability needs.
MIN_INTERVALS: Final = 6
MIN_KEPT_SHARE: Final = 0.8

#: Standard deviations to each side of a 90 % interval.
_Z: Final = 1.645
#: Norms of variability apply to five minutes (Task Force 1996, Circulation 93:1043), seconds.
FULL_S: Final = 300.0
#: Added to an error of SDNN or RMSSD before its logarithm is taken, milliseconds.
MIN_ERROR_MS: Final = 1.0
#: Bounds of a stretch of beats as a feature of its error, seconds: what the model was fitted to.
STRETCHES_S: Final = (15.0, 60.0)


@dataclass(frozen=True)
class VariabilityModel:
    """The band in which beats are located, and the error of measures of them, as calibrated.

    A wide band lengthens a measure by noise, and a narrow one shortens it: `half_bands_hz` at `at_snr_db`, and
    interpolated between them, are where both cancel on simulated clips and on clean photoplethysmograms (BIDMC).

    Attributes:
        half_bands_hz: half-widths of the band, Hz.
        at_snr_db: signal-to-noise ratios that they belong to, decibels.
        min_snr_db: signal-to-noise ratio that locating beats needs, decibels.
        max_error_ms: error of a short stretch, milliseconds, above which a measure reflects noise more than the heart.
        errors: for each measure the weights of `variability_features` whose product is log(error + `MIN_ERROR_MS`). The
            error is that of nine in ten beside what the sample's size allows: quantile regression on both sets of data,
            conformalised on people left out.
        shortfall: (drift, spread): SDNN of `FULL_S` over that of T seconds of them has, as a logarithm, the median
            drift·log(`FULL_S`/T) and the standard deviation spread.

    `python -m lab.calibrate.variability` fits errors and shortfall.
    """

    half_bands_hz: tuple[float, float]
    at_snr_db: tuple[float, float]
    min_snr_db: float
    max_error_ms: float
    errors: dict[str, tuple[float, ...]]
    shortfall: tuple[float, float]

    def half_band_hz(self, snr_db: float) -> float:
        """Half-width of the band, Hz, for a wave of that signal-to-noise ratio."""
        return float(np.interp(snr_db, self.at_snr_db, self.half_bands_hz))

    def error_ms(self, name: str, mean_ibi_s: float, snr_db: float, stretch_s: float = STRETCHES_S[0]) -> float:
        """Error of a measure of `stretch_s` seconds of beats, milliseconds.

        Raises:
            KeyError: the measure has no error model.
        """
        features = variability_features(mean_ibi_s, snr_db, stretch_s)
        return max(float(np.exp(features @ np.array(self.errors[name]))) - MIN_ERROR_MS, 0.0)

    def shortfall_of(self, duration_s: float) -> tuple[float, float]:
        """Median and standard deviation of log(SDNN of `FULL_S` / SDNN of `duration_s`); (0, 0) beyond `FULL_S`."""
        drift, spread = self.shortfall
        return (drift * float(np.log(FULL_S / duration_s)), spread) if duration_s < FULL_S else (0.0, 0.0)


def variability_features(mean_ibi_s: float, snr_db: float, stretch_s: float) -> NDArray[np.float64]:
    """Features (4,) of the error: a constant, the mean interval, the wave's SNR, and the length of the stretch.

    A longer stretch narrows the sample's own interval, but is more likely to contain what moves beats in bouts (an
    ectopic beat, a moment's movement).
    """
    longer = float(np.clip(stretch_s, *STRETCHES_S)) / STRETCHES_S[0]
    return np.array([1.0, np.log(mean_ibi_s), np.clip(snr_db, -5, 20) / 10, np.log(longer)])


#: The model as calibrated.
VARIABILITY_MODEL: Final = VariabilityModel(**section("variability"))


def sdnn_ms(beats: Beats) -> float:
    """Standard deviation of the kept intervals, milliseconds."""
    return float(1000 * beats.intervals_s[beats.kept].std(ddof=1))


def successive_ms(beats: Beats) -> NDArray[np.float64]:
    """Differences (m,) of neighbouring kept intervals, milliseconds."""
    both = beats.kept[1:] & beats.kept[:-1]
    return np.asarray(1000 * np.diff(beats.intervals_s)[both], np.float64)


def rmssd_ms(beats: Beats) -> float:
    """Root mean square of successive differences, milliseconds."""
    return float(np.sqrt(np.mean(successive_ms(beats) ** 2)))


def pnn50(beats: Beats) -> float:
    """Share of successive differences above 50 ms, per cent."""
    return float(100 * np.mean(np.abs(successive_ms(beats)) > 50))


def mean_ibi_ms(beats: Beats) -> float:
    """Mean of the kept intervals, milliseconds."""
    return float(1000 * beats.intervals_s[beats.kept].mean())


def lf_hf(beats: Beats) -> float:
    """Power of the intervals in 0.04-0.15 Hz over that in 0.15-0.40 Hz."""
    times = beats.times_s[1:][beats.kept]
    grid = np.arange(times[0], times[-1], 1 / TACHOGRAM_HZ)
    tachogram = detrend(np.interp(grid, times, beats.intervals_s[beats.kept]))
    power = np.abs(np.fft.rfft(tachogram * np.hanning(len(grid)), 4096)) ** 2
    frequencies = np.fft.rfftfreq(4096, 1 / TACHOGRAM_HZ)
    low, high = (
        float(power[(frequencies >= band[0]) & (frequencies < band[1])].sum()) for band in (LOW_BAND_HZ, HIGH_BAND_HZ)
    )
    return low / high if high > 0 else float("inf")


#: The function of each measure.
MEASURES: Final[dict[str, Callable[[Beats], float]]] = {
    "sdnn_ms": sdnn_ms,
    "rmssd_ms": rmssd_ms,
    "pnn50": pnn50,
    "lf_hf": lf_hf,
    "mean_ibi_ms": mean_ibi_ms,
}


def variability(pulse: Pulse, models: Iterable[str]) -> HeartRateVariability:
    """Return the vital `heart_rate_variability` of an accepted pulse: each measure with a value or a reason.

    `models` are the weights that took part.
    """
    spec = HEART_RATE_VARIABILITY
    snr_db = pulse.evidence.snr_db
    beats = beats_in(pulse)
    method = method_of("beats from the phase of the fused wave", models, pulse.frames)
    if not regular(beats):
        detail = f"{int(beats.kept.sum())} of {len(beats.kept)} intervals between beats are regular enough"
        return HeartRateVariability.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE, detail, method)
    clear = snr_db >= VARIABILITY_MODEL.min_snr_db
    values = {spec.name: _measure(spec, beats, pulse.duration_s, snr_db) for spec in VARIABILITY.values()}
    given = [measure.status for measure in values.values() if measure.value is not None]
    if not given:
        reason = values["mean_ibi_ms"].reason or Reason.NO_PULSE
        return HeartRateVariability.without_value(spec.unit, VitalStatus.ABSTAINED, reason, None, method)
    return HeartRateVariability(
        value=values,
        unit=spec.unit,
        status=VitalStatus.OK if VitalStatus.OK in given else VitalStatus.EXPERIMENTAL,
        detail=None if clear else "the pulse is too noisy to place single beats",
        method=method,
        diagnostics={"beats": float(len(beats.times_s)), "snr_db": round(pulse.evidence.snr_db, 1)},
    )


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure heart-rate variability."""
    return VitalResult(variability(inputs.pulse, inputs.models))


def beats_in(pulse: Pulse) -> Beats:
    """Find the beats of the fused wave, in a band that depends on its noise."""
    half_band_hz = VARIABILITY_MODEL.half_band_hz(pulse.evidence.snr_db)
    return beats_of(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]), half_band_hz)


def regular(beats: Beats) -> bool:
    """Whether enough of the intervals are plausible."""
    return len(beats.kept) >= MIN_INTERVALS and beats.kept_share >= MIN_KEPT_SHARE


def exceeds_noise(name: str, beats: Beats, snr_db: float, model: VariabilityModel = VARIABILITY_MODEL) -> bool:
    """Whether beats are located well enough for a measure; pNN50 and LF/HF need what RMSSD needs.

    `snr_db` is the signal-to-noise ratio of the pulse wave, decibels.
    """
    if name == "mean_ibi_ms":
        return True
    part = name if name in model.errors else "rmssd_ms"
    # The error from noise is the same at any length; what a longer stretch adds is not noise.
    error_ms = model.error_ms(part, mean_ibi_ms(beats) / 1000, snr_db)
    return snr_db >= model.min_snr_db and error_ms <= model.max_error_ms


def _measure(spec: VariabilitySpec, beats: Beats, duration_s: float, snr_db: float) -> Measure:
    shortest = spec.minimum_s if spec.experimental_s is None else spec.experimental_s
    if duration_s < shortest:
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
    if not exceeds_noise(spec.name, beats, snr_db):
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.NO_PULSE)
    value = MEASURES[spec.name](beats)
    if not np.isfinite(value):
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.NO_PULSE)
    digits = 2 if spec.name == "lf_hf" else 1
    low, high = interval_of(spec.name, value, beats, snr_db)
    return Measure(
        value=round(value, digits),
        unit=spec.unit,
        status=VitalStatus.OK if duration_s >= spec.minimum_s else VitalStatus.EXPERIMENTAL,
        interval=(round(low, digits), round(high, digits)),
        interval_level=LEVEL,
    )


def interval_of(
    name: str, value: float, beats: Beats, snr_db: float, model: VariabilityModel = VARIABILITY_MODEL
) -> Interval:
    """Return the 90 % interval of a measure's value in a long recording at the same rest.

    It has the sample's size and the error of the beats, whose wave has a signal-to-noise ratio of `snr_db`.
    """
    n = int(beats.kept.sum())
    if name == "mean_ibi_ms":
        half = _Z * sdnn_ms(beats) / np.sqrt(n)
        return value - half, value + half
    if name == "pnn50":
        # Wilson's interval for a share.
        share = value / 100
        middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return float(max(0.0, 100 * (middle - half))), float(min(100.0, 100 * (middle + half)))
    if name == "lf_hf":
        spread = np.exp(_Z * 2 / np.sqrt(_freedom(n)))
        return value / spread, value * spread
    mean_s = mean_ibi_ms(beats) / 1000
    error = model.error_ms(name, mean_s, snr_db, stretch_s=n * mean_s)
    low, high = sampling_interval(value, n)
    return (
        float(max(0.0, value - np.hypot(value - low, error))),
        float(value + np.hypot(high - value, error)),
    )


def sampling_interval(value: float, intervals: int) -> Interval:
    """Return the 90 % interval of SDNN or RMSSD from the number of intervals alone, for beats without an error."""
    low, high = (value * np.sqrt(_freedom(intervals) / chi2.ppf(end, _freedom(intervals))) for end in (0.95, 0.05))
    return float(low), float(high)


def _freedom(intervals: int) -> float:
    # Neighbouring intervals are correlated (respiration, the baroreflex): two count as about one independent interval.
    return max(intervals / 2, 2)
