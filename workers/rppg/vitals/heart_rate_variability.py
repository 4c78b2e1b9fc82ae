"""Heart-rate variability of the beats: each measure with its own minimum length, status and interval.

Definitions: Task Force of the ESC and NASPE 1996, Circulation 93:1043, tables 1 and 2. An interval contains the measure
of the clip's own beats, as a contact sensor would record them, not that of a longer recording: of five minutes SDNN is
about twice that of 15 s (`VariabilityModel.shortfall`). A measure whose interval is as wide as the spread between
healthy people at rest is withheld.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend

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

#: Frames a second that variability needs. Its errors are fitted to clips of 15 and more; cameras drop some.
MIN_FRAME_RATE: Final = 14.0

#: Standard deviations to each side of a 90 % interval.
_Z: Final = 1.645
#: Norms of variability apply to five minutes (Task Force 1996, Circulation 93:1043), seconds.
FULL_S: Final = 300.0
#: Standard deviation between healthy adults at rest (Nunan, Sandercock & Brodie 2010, "A quantitative systematic review
#: of normal values for short-term heart rate variability in healthy adults", Pacing Clin. Electrophysiol. 33(11):1407:
#: SDNN 50 ± 16 ms, RMSSD 42 ± 15 ms, LF/HF 2.8 ± 2.6). `_Z` of them to each side of the mean are the 90 % interval of
#: an answer that is the same for everyone.
POPULATION_SD: Final = {"sdnn_ms": 16.0, "rmssd_ms": 15.0, "lf_hf": 2.6}
#: Measures that have no published spread, and the measure whose refusal is theirs as well.
_REFUSED_WITH: Final = {"pnn50": "rmssd_ms"}
#: Added to an error before its logarithm is taken: milliseconds, per cent, and a logarithm for LF/HF.
MIN_ERRORS: Final = {"sdnn_ms": 1.0, "rmssd_ms": 1.0, "pnn50": 1.0, "lf_hf": 0.05}
#: Least value of a measure as a feature of its error.
MIN_VALUE: Final = 2.0
#: Bounds of a stretch of beats as a feature of its error, seconds: what the model was fitted to.
STRETCHES_S: Final = (15.0, 120.0)


@dataclass(frozen=True)
class VariabilityModel:
    """The band in which beats are located, and the error of measures of them, as calibrated.

    A wide band lengthens a measure by noise, and a narrow one shortens it: `half_bands_hz` at `at_snr_db`, and
    interpolated between them, are where both cancel on simulated clips and on clean photoplethysmograms (BIDMC).

    Attributes:
        half_bands_hz: half-widths of the band, Hz.
        at_snr_db: signal-to-noise ratios that they belong to, decibels.
        min_snr_db: signal-to-noise ratio that locating beats needs, decibels.
        errors: for each measure of `MIN_ERRORS` the weights of `variability_features` whose product is
            log(error + `MIN_ERRORS`). Nine in ten measures are closer to that of the true beats of the same seconds:
            quantile regression on both sets of data, conformalised on people left out.
        shortfall: (drift, spread): SDNN of `FULL_S` over that of T seconds of them has, as a logarithm, the median
            drift·log(`FULL_S`/T) and the standard deviation spread.

    `python -m lab.calibrate.variability` fits errors and shortfall.
    """

    half_bands_hz: tuple[float, float]
    at_snr_db: tuple[float, float]
    min_snr_db: float
    errors: dict[str, tuple[float, ...]]
    shortfall: tuple[float, float]

    def half_band_hz(self, snr_db: float) -> float:
        """Half-width of the band, Hz, for a wave of that signal-to-noise ratio."""
        return float(np.interp(snr_db, self.at_snr_db, self.half_bands_hz))

    def error(self, name: str, value: float, mean_ibi_s: float, snr_db: float, stretch_s: float) -> float:
        """Error of a measure of `stretch_s` seconds of beats, in its unit; of the logarithm for LF/HF.

        Raises:
            KeyError: the measure has no error model.
        """
        features = variability_features(value, mean_ibi_s, snr_db, stretch_s)
        return max(float(np.exp(features @ np.array(self.errors[name]))) - MIN_ERRORS[name], 0.0)

    def shortfall_of(self, duration_s: float) -> tuple[float, float]:
        """Median and standard deviation of log(SDNN of `FULL_S` / SDNN of `duration_s`); (0, 0) beyond `FULL_S`."""
        drift, spread = self.shortfall
        return (drift * float(np.log(FULL_S / duration_s)), spread) if duration_s < FULL_S else (0.0, 0.0)


def variability_features(value: float, mean_ibi_s: float, snr_db: float, stretch_s: float) -> NDArray[np.float64]:
    """Features (5,) of the error: a constant, the mean interval, the wave's SNR, the length of the stretch, the value.

    Noise that moves beats lengthens the measure itself, so that large values have large errors.
    """
    longer = float(np.clip(stretch_s, *STRETCHES_S)) / STRETCHES_S[0]
    return np.array(
        [1.0, np.log(mean_ibi_s), np.clip(snr_db, -5, 20) / 10, np.log(longer), np.log(max(value, MIN_VALUE))]
    )


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


#: Sentences for the reasons of a vital without SDNN and RMSSD.
_DETAILS: Final = {
    Reason.NO_PULSE: "the pulse is too noisy to place single beats",
    Reason.TOO_UNCERTAIN: "the intervals of SDNN and RMSSD are as wide as the spread between healthy people at rest",
}


def variability(pulse: Pulse) -> HeartRateVariability:
    """Return the vital `heart_rate_variability` of an accepted pulse: each measure with a value or a reason.

    It abstains where neither SDNN nor RMSSD has a value, and is `ok` where one of them is.
    """
    spec = HEART_RATE_VARIABILITY
    snr_db = pulse.snr_db
    beats = beats_in(pulse)
    method = method_of("beats from the phase of the fused wave", pulse.frames)
    frame_rate = pulse.frames / pulse.duration_s
    if frame_rate < MIN_FRAME_RATE:
        detail = f"single beats need {MIN_FRAME_RATE + 1:.0f} frames a second; the clip has {frame_rate:.1f}"
        return HeartRateVariability.without_value(
            spec.unit, VitalStatus.ABSTAINED, Reason.FRAME_RATE_LOW, detail, method
        )
    if not regular(beats):
        detail = f"{int(beats.kept.sum())} of {len(beats.kept)} intervals between beats are regular enough"
        return HeartRateVariability.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE, detail, method)
    values = {spec.name: _measure(spec, beats, pulse.duration_s, snr_db) for spec in VARIABILITY.values()}
    # The mean interval alone is a heart rate, not variability.
    main = [values["sdnn_ms"], values["rmssd_ms"]]
    given = [measure.status for measure in main if measure.value is not None]
    if not given:
        reason = main[0].reason or Reason.NO_PULSE
        return HeartRateVariability.without_value(
            spec.unit, VitalStatus.ABSTAINED, reason, _DETAILS.get(reason), method
        )
    return HeartRateVariability(
        value=values,
        unit=spec.unit,
        status=VitalStatus.OK if VitalStatus.OK in given else VitalStatus.EXPERIMENTAL,
        method=method,
        diagnostics={"beats": float(len(beats.times_s)), "snr_db": round(pulse.snr_db, 1)},
    )


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure heart-rate variability."""
    return VitalResult(variability(inputs.pulse))


def beats_in(pulse: Pulse) -> Beats:
    """Find the beats of the fused wave, in a band that depends on its noise."""
    half_band_hz = VARIABILITY_MODEL.half_band_hz(pulse.snr_db)
    return beats_of(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]), half_band_hz)


def regular(beats: Beats) -> bool:
    """Whether enough of the intervals are plausible."""
    return len(beats.kept) >= MIN_INTERVALS and beats.kept_share >= MIN_KEPT_SHARE


def reason_withheld(
    name: str, beats: Beats, snr_db: float, model: VariabilityModel = VARIABILITY_MODEL
) -> Reason | None:
    """Return why beats are not located well enough for a measure, or None if they are.

    `snr_db` is the signal-to-noise ratio of the pulse wave, decibels.
    """
    if name == "mean_ibi_ms":
        return None
    if snr_db < model.min_snr_db:
        return Reason.NO_PULSE
    name = _REFUSED_WITH.get(name, name)
    value = MEASURES[name](beats)
    if not np.isfinite(value):
        return Reason.NO_PULSE
    low, high = _bounds(name, value, beats, snr_db, model)
    return Reason.TOO_UNCERTAIN if is_uninformative(name, low, high) else None


def is_uninformative(name: str, low: float, high: float) -> bool:
    """Return whether an interval is as wide as that of the population at rest, which needs no measurement."""
    return name in POPULATION_SD and high - low >= 2 * _Z * POPULATION_SD[name]


def _measure(spec: VariabilitySpec, beats: Beats, duration_s: float, snr_db: float) -> Measure:
    shortest = spec.minimum_s if spec.experimental_s is None else spec.experimental_s
    reason = Reason.CLIP_TOO_SHORT if duration_s < shortest else reason_withheld(spec.name, beats, snr_db)
    if reason is not None:
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=reason)
    value = MEASURES[spec.name](beats)
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
    """Return the 90 % interval of a measure of the true beats of the same seconds, given that of `beats`.

    `snr_db` is the signal-to-noise ratio of the pulse wave, decibels.
    """
    low, high = _bounds(name, value, beats, snr_db, model)
    return max(low, 0.0), min(high, 100.0) if name == "pnn50" else high


def _bounds(name: str, value: float, beats: Beats, snr_db: float, model: VariabilityModel) -> Interval:
    """Return the interval before it is cut at the ends of the measure's range."""
    n = int(beats.kept.sum())
    if name == "mean_ibi_ms":
        # The beats at both ends carry the error; this is wider, and holds its level on BIDMC (docs/accuracy.md).
        half = _Z * sdnn_ms(beats) / np.sqrt(n)
        return value - half, value + half
    mean_s = mean_ibi_ms(beats) / 1000
    error = model.error(name, value, mean_s, snr_db, n * mean_s)
    if name == "lf_hf":
        return value * float(np.exp(-error)), value * float(np.exp(error))
    return value - error, value + error
