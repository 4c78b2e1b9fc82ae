"""Heart-rate variability from beats: each measure with its own minimum length, status and interval.

Definitions: Task Force of the ESC and NASPE 1996, Circulation 93:1043, tables 1 and 2.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend
from scipy.stats import chi2

from shared.schemas import HeartRateVariability, Interval, Measure, VitalStatus
from shared.vitals import HEART_RATE_VARIABILITY, VARIABILITY, Reason, VariabilitySpec
from workers.rppg.fusion.calibration import CALIBRATION, VariabilityModel
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.signals.beats import Beats, beats_of
from workers.rppg.vitals.method import method_of

Array = NDArray[np.float64]

LEVEL: Final = 0.9
#: Bands in Hz, and the rate at which intervals are resampled for their spectrum.
LOW_BAND_HZ: Final = (0.04, 0.15)
HIGH_BAND_HZ: Final = (0.15, 0.40)
TACHOGRAM_HZ: Final = 4.0

#: Fewer intervals than this, or a smaller share kept, carry no variability.
FEWEST_INTERVALS: Final = 6
SMALLEST_KEPT_SHARE: Final = 0.8

#: Standard deviations to each side of a 90 % interval.
_Z: Final = 1.645


def sdnn_ms(beats: Beats) -> float:
    """Standard deviation of the kept intervals, milliseconds."""
    return float(1000 * beats.intervals_s[beats.kept].std(ddof=1))


def successive_ms(beats: Beats) -> Array:
    """Differences of neighbouring kept intervals, milliseconds."""
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


#: How each measure is computed.
MEASURES: Final[dict[str, Callable[[Beats], float]]] = {
    "sdnn_ms": sdnn_ms,
    "rmssd_ms": rmssd_ms,
    "pnn50": pnn50,
    "lf_hf": lf_hf,
    "mean_ibi_ms": mean_ibi_ms,
}


def variability(pulse: Pulse, models: list[str]) -> HeartRateVariability:
    """The vital `heart_rate_variability` of an accepted pulse: every measure, or why it is silent."""
    spec = HEART_RATE_VARIABILITY
    snr_db = pulse.evidence.snr_db
    beats = beats_in(pulse)
    method = method_of("beats from the phase of the fused wave", models, pulse.frames)
    if not regular(beats):
        detail = f"{int(beats.kept.sum())} of {len(beats.kept)} intervals between beats are regular enough"
        return HeartRateVariability.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE, detail, method)
    clear = snr_db >= CALIBRATION.variability.least_snr_db
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


def beats_in(pulse: Pulse) -> Beats:
    """Beats of the fused wave, in the band for its noise."""
    half_band_hz = CALIBRATION.variability.half_band_hz(pulse.evidence.snr_db)
    return beats_of(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]), half_band_hz)


def regular(beats: Beats) -> bool:
    """Whether enough of the intervals can be beats'."""
    return len(beats.kept) >= FEWEST_INTERVALS and beats.kept_share >= SMALLEST_KEPT_SHARE


def told_from_noise(name: str, beats: Beats, snr_db: float, model: VariabilityModel = CALIBRATION.variability) -> bool:
    """Whether beats are placed well enough for a measure; shares and ratios rest on the same differences as RMSSD."""
    if name == "mean_ibi_ms":
        return True
    part = name if name in model.errors else "rmssd_ms"
    # Noise does the same to a measure at any length; what a longer stretch adds is no noise.
    error_ms = model.error_ms(part, mean_ibi_ms(beats) / 1000, snr_db)
    return snr_db >= model.least_snr_db and error_ms <= model.most_error_ms


def _measure(spec: VariabilitySpec, beats: Beats, duration_s: float, snr_db: float) -> Measure:
    shortest = spec.minimum_s if spec.experimental_s is None else spec.experimental_s
    if duration_s < shortest:
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
    if not told_from_noise(spec.name, beats, snr_db):
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
    name: str, value: float, beats: Beats, snr_db: float, model: VariabilityModel = CALIBRATION.variability
) -> Interval:
    """90 % interval for what a long recording at the same rest would give: the sample's size, and the
    beats' own error.
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
    """90 % interval for SDNN or RMSSD from the sample's size alone, were the beats placed without an error."""
    low, high = (value * np.sqrt(_freedom(intervals) / chi2.ppf(end, _freedom(intervals))) for end in (0.95, 0.05))
    return float(low), float(high)


def _freedom(intervals: int) -> float:
    # Neighbouring intervals resemble each other (respiration, the baroreflex): about two make one independent one.
    return max(intervals / 2, 2)
