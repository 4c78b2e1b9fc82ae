"""A pulse becomes a heart rate with an interval, or the reason why there is none."""

from collections.abc import Iterable
from typing import Final

from shared.schemas import Baseline, HeartRate, VitalStatus
from shared.vitals import HEART_RATE
from workers.rppg.fusion.calibration import CALIBRATION
from workers.rppg.fusion.gate import log_odds, refusal
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.vitals.method import method_of

#: Always answering 74 /min, their mean, misses the oximeter by this much on 1,108 clips of VV-Medium (VitalLens
#: technical report).
BASELINE: Final = Baseline(value=74.0, mae=10.45, source="a constant, on VV-Medium (1,108 clips of 15 s)")

INTERVAL_LEVEL: Final = 0.9


def half_width_per_min(pulse: Pulse) -> float:
    """Half of the 90 % interval: what real clips ask for, or what this clip's wave does, whichever is more.

    What the estimators agree on lies inside: where beats counted in the wave say otherwise, that is a doubt as well.
    """
    evidence, agreement = pulse.evidence, pulse.agreement
    return max(
        abs(pulse.rate_per_min - agreement.rate_per_min),
        CALIBRATION.interval.half_width_per_min(agreement, pulse.duration_s, evidence.movement),
        CALIBRATION.pixel_interval.half_width_per_min(evidence, agreement),
    )


def heart_rate(pulse: Pulse, models: Iterable[str]) -> HeartRate:
    """The vital `heart_rate` of an accepted pulse, or abstained. `models`: the weights that took part."""
    asked = [estimate for estimate in pulse.estimates if estimate.part is None]
    estimators = ", ".join(estimate.name for estimate in asked)
    method = method_of(f"agreement of {estimators}", models, pulse.frames)
    refused = refusal(pulse)
    if refused is not None:
        reason, detail = refused
        return HeartRate.without_value(HEART_RATE.unit, VitalStatus.ABSTAINED, reason, detail, method)
    half = half_width_per_min(pulse)
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
            "estimators_run": float(len(asked)),
            "confidence": round(pulse.agreement.confidence, 4),
            "snr_db": round(pulse.evidence.snr_db, 2),
            "pulse_log_odds": round(log_odds(pulse), 2),
        },
    )
