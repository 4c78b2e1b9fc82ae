"""Heart rate: the rate of an accepted pulse with its interval, or the reason why there is none."""

from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, HeartRate, VitalStatus, Wave
from shared.vitals import HEART_RATE, Reason
from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.evidence import RATES_PER_MIN
from workers.rppg.fusion.gate import AS_SHIPPED, other_refusal, refusal
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.fusion.verdict import Verdict
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of, spectrum_over, wave_of
from workers.rppg.vitals.rolling import rolling_rates

#: The error of always reporting 74 /min, the mean of 1,108 clips of VV-Medium (VitalLens technical report).
BASELINE: Final = Baseline(value=74.0, mae=10.45, source="a constant, on VV-Medium (1,108 clips of 15 s)")

#: Level of the interval.
INTERVAL_LEVEL: Final = 0.9

#: Ratios of two rates that alternating beats have, and how far from them a ratio may be, as a share.
_RATIOS: Final = (1 / 2, 2 / 3, 3 / 2, 2)
_SAME_RATIO: Final = 0.07
#: Advice to a user whose beats are irregular; it names no condition.
_ADVICE: Final = "repeat the measurement, and see a doctor if it persists"


@dataclass(frozen=True)
class IntervalModel:
    """Half-width of the 90 % interval: quantile regression on right answers (`python -m lab.calibrate.verdict`).

    log(h) is the product of the weights with `interval_features`.
    """

    level: float
    shortness: float
    spread: float

    def half_width_per_min(self, pulse: Pulse) -> float:
        """Half-width, beats a minute, of the interval around the reported rate."""
        features = interval_features(pulse.verdict, pulse.duration_s)
        return float(np.exp(features @ np.array(astuple(self))))


def interval_features(verdict: Verdict, duration_s: float) -> NDArray[np.float64]:
    """Features (3,) of the width: a constant, shortness of the clip, spread of the likely rates."""
    near = np.abs(RATES_PER_MIN - verdict.rate_per_min) <= verdict.near_per_min
    weights = verdict.rates[near] / max(float(verdict.rates[near].sum()), 1e-30)
    spread = float(np.sqrt(weights @ np.square(RATES_PER_MIN[near] - weights @ RATES_PER_MIN[near])))
    return np.array([1.0, np.log(15 / duration_s), np.log(spread + 0.3)])


#: The widths of intervals as calibrated.
INTERVAL: Final = IntervalModel(**section("interval"))


def half_width_per_min(pulse: Pulse) -> float:
    """Half of the 90 % interval, beats a minute.

    It includes the likeliest rate: a different count of beats in the wave is a doubt as well.
    """
    return max(abs(pulse.rate_per_min - pulse.verdict.rate_per_min), INTERVAL.half_width_per_min(pulse))


def heart_rate(pulse: Pulse, recalibration: Recalibration = AS_SHIPPED) -> HeartRate:
    """Return the vital `heart_rate` of a pulse that the gate accepts, or abstained with a reason.

    The reason is the gate's, or `irregular_pulse`. `recalibration` is the user's, of verdict and interval.
    """
    verdict, estimates = pulse.verdict, pulse.estimates
    method = method_of(f"verdict on {', '.join(estimates)}", pulse.frames)
    refused = refusal(pulse, recalibration)
    refused = irregularity(pulse, refused) or refused
    if refused is not None:
        reason, detail = refused
        return HeartRate.without_value(HEART_RATE.unit, VitalStatus.ABSTAINED, reason, detail, method)
    half = recalibration.half_width_per_min(half_width_per_min(pulse))
    rate = pulse.rate_per_min
    agreeing = [name for name, found in estimates.items() if abs(found - verdict.rate_per_min) <= verdict.near_per_min]
    return HeartRate(
        value=round(rate, 1),
        unit=HEART_RATE.unit,
        status=VitalStatus.OK,
        interval=(round(rate - half, 1), round(rate + half, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method,
        diagnostics={
            "estimators_agreeing": float(len(agreeing)),
            "estimators_run": float(len(estimates)),
            "confidence": round(verdict.probability, 4),
            "snr_db": round(pulse.snr_db, 2),
            "pulse_log_odds": round(verdict.log_odds, 2),
        },
    )


def irregularity(pulse: Pulse, refused: tuple[Reason, str] | None) -> tuple[Reason, str] | None:
    """Return `irregular_pulse` with its detail if no single rate describes the pulse, or None.

    Args:
        pulse: the pulse.
        refused: why the gate refuses it, or None. Irregular beats cause "no rate stands out" and "two rates are
            likely", and replace them; light, motion and pictures remain the reason.
    """
    if refused is not None and not _is_for_rate(pulse, refused):
        return None
    multiple = pulse.rhythm.cycle_multiple
    # Where no rate is likely, noise has the shape of alternating beats as often as such beats have it.
    if multiple is not None and (refused is None or _has_related_rates(pulse, refused)):
        cycle = pulse.rate_per_min / multiple
        return (
            Reason.IRREGULAR_PULSE,
            f"strong and weak beats seem to alternate: {2 * cycle:.0f} a minute, of which {cycle:.0f} are strong; "
            f"{_ADVICE}",
        )
    if pulse.rhythm.is_uneven:
        return Reason.IRREGULAR_PULSE, f"beats come at uneven intervals; {_ADVICE}"
    return None


def _is_for_rate(pulse: Pulse, refused: tuple[Reason, str]) -> bool:
    """Whether the gate refuses a pulse since no rate is sure, or since half of it is stronger."""
    for_rate = {Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE}
    other = other_refusal(pulse)
    return refused[0] in for_rate and (other is None or other[0] is Reason.ESTIMATORS_DISAGREE)


def _has_related_rates(pulse: Pulse, refused: tuple[Reason, str]) -> bool:
    """Whether the gate refuses a pulse since two rates are likely that alternating beats have."""
    if refused[0] is not Reason.ESTIMATORS_DISAGREE or refused == other_refusal(pulse):
        return False
    ratio = pulse.verdict.second_per_min / pulse.verdict.rate_per_min
    return any(abs(ratio / related - 1) <= _SAME_RATIO for related in _RATIOS)


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure the heart rate, with the pulse wave, its spectrum, and the rate over time of a long clip."""
    pulse = inputs.pulse
    vital = heart_rate(pulse, inputs.option(Recalibration))
    waves = {"heart_rate": wave_of(pulse.times_s, pulse.wave)}
    if vital.status is VitalStatus.OK:
        times_s, rates = rolling_rates(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]))
        if len(rates):
            waves["heart_rate_over_time"] = Wave(
                times_s=np.round(times_s, 2).tolist(), values=np.round(rates, 1).tolist(), unit=HEART_RATE.unit
            )
    spectra = {"heart_rate": spectrum_over(60 * pulse.spectrum.frequencies_hz, pulse.spectrum.power)}
    return VitalResult(vital, waves, spectra)
