"""Heart rate: the rate of an accepted pulse with its interval, or the reason why there is none."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schemas import Baseline, HeartRate, VitalStatus, Wave
from shared.vitals import HEART_RATE
from workers.rppg.fusion.agreement import Agreement
from workers.rppg.fusion.calibration import section
from workers.rppg.fusion.evidence import Evidence
from workers.rppg.fusion.gate import AS_SHIPPED, log_odds, refusal
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.fusion.recalibration import Recalibration
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of, spectrum_over, wave_of
from workers.rppg.vitals.rolling import rolling_rates

#: The error of always reporting 74 /min, the mean of 1,108 clips of VV-Medium (VitalLens technical report).
BASELINE: Final = Baseline(value=74.0, mae=10.45, source="a constant, on VV-Medium (1,108 clips of 15 s)")

#: Level of the interval.
INTERVAL_LEVEL: Final = 0.9

#: Errors below this many beats a minute are the reference's own.
MIN_ERROR_PER_MIN: Final = 0.05
#: Bounds of the movement, over that of a still sitter, as a feature of the interval.
MOVEMENTS: Final = (0.5, 8.0)


@dataclass(frozen=True)
class IntervalModel:
    """Half-width of the 90 % interval on real clips: quantile regression, conformalised on people left out.

    log(h + `MIN_ERROR_PER_MIN`) is the product of the weights with `interval_features`.
    """

    level: float
    entropy: float
    near: float
    shortness: float
    movement: float

    def half_width_per_min(self, agreement: Agreement, duration_s: float, movement: float) -> float:
        """Half-width, beats a minute, of the interval around the agreed rate."""
        weights = (self.level, self.entropy, self.near, self.shortness, self.movement)
        log_width = float(interval_features(agreement, duration_s, movement) @ np.array(weights))
        return max(float(np.exp(log_width)) - MIN_ERROR_PER_MIN, MIN_ERROR_PER_MIN)


def interval_features(agreement: Agreement, duration_s: float, movement: float) -> NDArray[np.float64]:
    """Features (5,) of the interval's width.

    A constant; the belief's entropy, which is the logarithm of a width already; the distance of the nearest estimates;
    shortness of the clip; movement over that of a still sitter.
    """
    return np.array(
        [
            1.0,
            agreement.entropy,
            np.log(agreement.near_per_min + 0.1),
            np.log(15 / duration_s),
            np.log(np.clip(movement, *MOVEMENTS)),
        ]
    )


@dataclass(frozen=True)
class PixelIntervalModel:
    """Half-width of the 90 % interval on simulated clips, fitted alike; it includes the wave's noise.

    log(h) is the product of the weights with `pixel_interval_features`.
    """

    level: float
    noise: float
    spread: float

    def half_width_per_min(self, evidence: Evidence, agreement: Agreement) -> float:
        """Half-width, beats a minute, of the interval around the reported rate."""
        features = pixel_interval_features(evidence, agreement)
        return float(np.exp(features @ np.array((self.level, self.noise, self.spread))))


def pixel_interval_features(evidence: Evidence, agreement: Agreement) -> NDArray[np.float64]:
    """Features (3,) of the width: a constant, the fused wave's noise, the members' spread."""
    return np.array([1.0, -float(np.clip(evidence.snr_db, -10, 15)) / 10, np.log(agreement.spread_per_min + 0.1)])


#: The widths of intervals as calibrated.
INTERVAL: Final = IntervalModel(**section("interval"))
PIXEL_INTERVAL: Final = PixelIntervalModel(**section("pixel_interval"))


def half_width_per_min(pulse: Pulse) -> float:
    """Half of the 90 % interval, beats a minute: the wider of both models.

    It includes the rate that the estimators agree on: a different count of beats in the wave is a doubt as well.
    """
    evidence, agreement = pulse.evidence, pulse.agreement
    return max(
        abs(pulse.rate_per_min - agreement.rate_per_min),
        INTERVAL.half_width_per_min(agreement, pulse.duration_s, evidence.movement),
        PIXEL_INTERVAL.half_width_per_min(evidence, agreement),
    )


def heart_rate(pulse: Pulse, models: Iterable[str], recalibration: Recalibration = AS_SHIPPED) -> HeartRate:
    """Return the vital `heart_rate` of a pulse that the gate accepts, or abstained with the gate's reason.

    `models` are the weights that took part; `recalibration` is the user's, of verdict and interval.
    """
    run = [estimate for estimate in pulse.estimates if estimate.part is None]
    estimators = ", ".join(estimate.name for estimate in run)
    method = method_of(f"agreement of {estimators}", models, pulse.frames)
    refused = refusal(pulse, recalibration)
    if refused is not None:
        reason, detail = refused
        return HeartRate.without_value(HEART_RATE.unit, VitalStatus.ABSTAINED, reason, detail, method)
    half = recalibration.half_width_per_min(half_width_per_min(pulse))
    rate = pulse.rate_per_min
    return HeartRate(
        value=round(rate, 1),
        unit=HEART_RATE.unit,
        status=VitalStatus.OK,
        interval=(round(rate - half, 1), round(rate + half, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method,
        diagnostics={
            "estimators_agreeing": float(pulse.agreement.support),
            "estimators_run": float(len(run)),
            "confidence": round(pulse.agreement.confidence, 4),
            "snr_db": round(pulse.evidence.snr_db, 2),
            "pulse_log_odds": round(log_odds(pulse), 2),
        },
    )


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure the heart rate, with the pulse wave, its spectrum, and the rate over time of a long clip."""
    pulse = inputs.pulse
    vital = heart_rate(pulse, inputs.models, inputs.option(Recalibration))
    waves = {"heart_rate": wave_of(pulse.times_s, pulse.wave)}
    if vital.status is VitalStatus.OK:
        times_s, rates = rolling_rates(pulse.wave, pulse.fs, pulse.rate_per_min, float(pulse.times_s[0]))
        if len(rates):
            waves["heart_rate_over_time"] = Wave(
                times_s=np.round(times_s, 2).tolist(), values=np.round(rates, 1).tolist(), unit=HEART_RATE.unit
            )
    spectra = {"heart_rate": spectrum_over(60 * pulse.spectrum.frequencies_hz, pulse.spectrum.power)}
    return VitalResult(vital, waves, spectra)
