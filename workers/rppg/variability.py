"""Heart-rate variability from beats: each measure with its own minimum length, status and interval.

Definitions: Task Force of the ESC and NASPE 1996, Circulation 93:1043, tables 1 and 2.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend
from scipy.stats import chi2

from shared.schemas import Interval, Measure, Vital, VitalStatus
from shared.vitals import HEART_RATE_VARIABILITY, VARIABILITY, Reason, VariabilitySpec
from workers.rppg.beats import Beats, beats_of
from workers.rppg.calibration import CALIBRATION
from workers.rppg.filters import band_pass
from workers.rppg.method import method_of
from workers.rppg.pulse import Pulse

Array = NDArray[np.float64]

LEVEL: Final = 0.9
#: Bands in Hz, and the rate at which intervals are resampled for their spectrum.
LOW_BAND_HZ: Final = (0.04, 0.15)
HIGH_BAND_HZ: Final = (0.15, 0.40)
TACHOGRAM_HZ: Final = 4.0

#: Fewer intervals than this, or a smaller share kept, carry no variability.
FEWEST_INTERVALS: Final = 6
SMALLEST_KEPT_SHARE: Final = 0.8

#: Repetitions with which the jitter of the beats is measured.
_REPETITIONS: Final = 6


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


def jitter_ms(pulse: Pulse) -> float:
    """By how much noise displaces a beat (standard deviation), milliseconds.

    As much noise as the wave already holds is added again, and the growth of the successive differences read off: each
    holds two displacements, an interval's difference to the next three moments in weights 1, -2, 1: six variances.
    """
    rng = np.random.default_rng(0)
    before = successive_ms(beats_of(pulse.wave, pulse.fs, pulse.rate_per_min))
    scale = np.sqrt(_noise_variance(pulse))
    after = [
        np.mean(successive_ms(beats_of(pulse.wave + scale * noise, pulse.fs, pulse.rate_per_min)) ** 2)
        for noise in band_pass(rng.normal(size=(_REPETITIONS, len(pulse.wave))), pulse.fs)
    ]
    grown = float(np.mean(after)) - float(np.mean(before**2))
    return float(np.sqrt(max(grown, 0.0) / 6))


def _noise_variance(pulse: Pulse) -> float:
    """Variance of the white noise whose density is that of the wave between the pulse's harmonics."""
    n = len(pulse.wave)
    window = np.hanning(n)
    power = np.abs(np.fft.rfft(pulse.wave * window)) ** 2 / float((window**2).sum())
    frequencies = np.fft.rfftfreq(n, 1 / pulse.fs)
    rate_hz = pulse.rate_per_min / 60
    between = (frequencies > 0.7) & (frequencies < 3.4)
    for harmonic in (1, 2, 3):
        between &= np.abs(frequencies - harmonic * rate_hz) > 0.35
    if not between.any():
        return 0.0
    # The median of an exponential distribution is ln 2 of its mean.
    return float(np.median(power[between]) / np.log(2))


def variability(pulse: Pulse, models: list[str]) -> Vital:
    """The vital `heart_rate_variability` of an accepted pulse: every measure, or why it is silent."""
    beats = beats_of(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]))
    method = method_of("beats from the phase of the fused wave", models, pulse.frames)
    if len(beats.kept) < FEWEST_INTERVALS or beats.kept_share < SMALLEST_KEPT_SHARE:
        detail = f"{int(beats.kept.sum())} of {len(beats.kept)} intervals between beats are regular enough"
        spec = HEART_RATE_VARIABILITY
        return Vital.without_value(spec.unit, VitalStatus.ABSTAINED, Reason.NO_PULSE, detail, method)
    jitter = jitter_ms(pulse)
    too_noisy = jitter > CALIBRATION.variability.largest_jitter_ms
    values = {spec.name: _measure(spec, beats, pulse.duration_s, jitter, too_noisy) for spec in VARIABILITY.values()}
    given = [measure.status for measure in values.values() if measure.value is not None]
    if not given:
        first = values["sdnn_ms"]
        reason = first.reason or Reason.NO_PULSE
        noisy = f"noise moves a beat by {jitter:.0f} ms" if too_noisy else None
        return Vital.without_value(HEART_RATE_VARIABILITY.unit, VitalStatus.ABSTAINED, reason, noisy, method)
    status = VitalStatus.OK if VitalStatus.OK in given else VitalStatus.EXPERIMENTAL
    return Vital(
        value=values,
        unit=HEART_RATE_VARIABILITY.unit,
        status=status,
        method=method,
        ingredients={"beats": float(len(beats.times_s)), "jitter_ms": round(jitter, 1)},
    )


def _measure(spec: VariabilitySpec, beats: Beats, duration_s: float, jitter: float, too_noisy: bool) -> Measure:
    shortest = spec.minimum_s if spec.experimental_s is None else spec.experimental_s
    if duration_s < shortest:
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.CLIP_TOO_SHORT)
    if too_noisy and spec.name != "mean_ibi_ms":
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.NO_PULSE)
    value = MEASURES[spec.name](beats)
    if not np.isfinite(value):
        return Measure(value=None, unit=spec.unit, status=VitalStatus.ABSTAINED, reason=Reason.NO_PULSE)
    digits = 2 if spec.name == "lf_hf" else 1
    low, high = interval_of(spec.name, value, beats, jitter)
    return Measure(
        value=round(value, digits),
        unit=spec.unit,
        status=VitalStatus.OK if duration_s >= spec.minimum_s else VitalStatus.EXPERIMENTAL,
        interval=(round(low, digits), round(high, digits)),
        interval_level=LEVEL,
    )


def interval_of(name: str, value: float, beats: Beats, jitter: float) -> Interval:
    """90 % interval for what a long recording at the same rest would give: sampling, and the beats' own jitter below.

    Jitter adds to the spread of intervals and never takes away, so it widens the interval downwards: two variances of a
    moment in SDNN², six in RMSSD².
    """
    n = int(beats.kept.sum())
    if name == "mean_ibi_ms":
        half = 1.645 * float(np.hypot(sdnn_ms(beats), jitter)) / np.sqrt(n)
        return value - half, value + half
    if name == "pnn50":
        # Wilson's interval for a share, 1.645 standard deviations to each side.
        z, share = 1.645, value / 100
        middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        return float(max(0.0, 100 * (middle - half))), float(min(100.0, 100 * (middle + half)))
    # Neighbouring intervals resemble each other (respiration, the baroreflex): about two make one independent one.
    freedom = max(n / 2, 2)
    if name == "lf_hf":
        spread = np.exp(1.645 * 2 / np.sqrt(freedom))
        return value / spread, value * spread
    noise = {"sdnn_ms": 2, "rmssd_ms": 6}[name] * jitter**2
    below = np.sqrt(max(value**2 - noise, 0.0))
    return (
        float(below * np.sqrt(freedom / chi2.ppf(0.95, freedom))),
        float(value * np.sqrt(freedom / chi2.ppf(0.05, freedom))),
    )
