"""Stress from heart-rate variability: experimental, and only as certain as the variability it is computed from.

Low SDNN goes with stress, and so does a high LF/HF where the clip is long enough (Kim, Cheon, Bai, Lee, Koo 2018,
"Stress and heart rate variability: a meta-analysis and review of the literature", Psychiatry Investig. 15(3):235).
The threshold applies to five minutes, and a clip's SDNN is lower: it is too short for slow waves. A fast heart has a
lower SDNN by arithmetic alone: an interval is the inverse of the rate, so that the same variation of the rate changes
intervals by the square of the mean interval (Sacha & Pluta 2008, "Alterations of an average heart rate change heart
rate variability due to mathematical reasons", Int. J. Cardiol. 128(3):444; Sacha 2013, "Why should one normalize heart
rate variability with respect to average heart rate", Front. Physiol. 4:306). So the score is the probability that SDNN
of five minutes, adjusted to the mean interval at rest, is below the threshold, given the clip's, its error, and by how
much such clips fall short. If it is neither high nor low, the vital abstains; so it does where the heart is not at
rest, because exercise looks the same as stress.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm

from shared.schemas import Baseline, HeartRateVariability, Interval, Measure, Stress, VitalStatus
from shared.vitals import HEART_RATE_VARIABILITY, STRESS, Reason
from workers.rppg.vitals.heart_rate_variability import VARIABILITY_MODEL, variability
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of

#: Half of an interval at 90 % in standard deviations.
_Z: Final = 1.645

#: Probability that a verdict needs; the 90 % interval of SDNN must be on one side of the threshold as well.
MIN_PROBABILITY: Final = 0.9

#: Mean interval of healthy adults at rest, milliseconds (Nunan et al. 2010, Pacing Clin. Electrophysiol. 33(11):1407).
REST_IBI_MS: Final = 926.0
#: Heart rate above which a heart is not at rest, /min (American Heart Association: 60 to 100 at rest).
MAX_RESTING_PER_MIN: Final = 100.0

#: How often "SDNN below 50 ms" of 15 s differs from that of five minutes.
BASELINE: Final = Baseline(value=0.0, mae=0.195, source="verdicts of 15 s that differ from those of 5 min")


@dataclass(frozen=True)
class StressThresholds:
    """SDNN below the one, at the mean interval of rest, or LF/HF above the other indicates stress."""

    sdnn_ms: float = 50.0
    lf_hf: float = 2.5


def stress(
    variability: HeartRateVariability,
    thresholds: StressThresholds,
    frames: int,
    duration_s: float,
) -> Stress:
    """Return the vital `stress` of the vital `heart_rate_variability` of a clip: experimental, or abstained.

    It abstains for the reason that there is no SDNN, with `not_at_rest` if the heart is faster than at rest, or with
    `too_uncertain` if the score is neither high nor low; score and diagnostics are reported even then.

    Args:
        variability: the vital `heart_rate_variability`.
        thresholds: SDNN and LF/HF that indicate stress.
        frames: video frames in which the face was measured.
        duration_s: length of the pulse wave, seconds.
    """
    method = method_of("SDNN, and LF/HF where there is one, against thresholds", frames)
    measures = variability.value
    sdnn = measures.sdnn_ms if measures else None
    mean_ibi_ms = measures.mean_ibi_ms.value if measures else None
    if sdnn is None or sdnn.value is None or sdnn.interval is None or mean_ibi_ms is None:
        reason = (sdnn.reason if sdnn else variability.reason) or Reason.NO_PULSE
        return Stress.without_value(
            STRESS.unit, VitalStatus.ABSTAINED, reason, "it is computed from SDNN, which is not available", method
        )
    full = _of_five_minutes_at_rest(sdnn, mean_ibi_ms, duration_s)
    low = full.below(thresholds.sdnn_ms)
    ratio = measures.lf_hf if measures else None
    scores = [low]
    if ratio is not None and ratio.value is not None and ratio.interval is not None:
        scores.append(1 - _log_normal(ratio).below(thresholds.lf_hf))
    score = float(np.mean(scores))
    ends = full.interval()
    # The ends of that interval as scores: the range of the verdict.
    spread = sorted(float(end < thresholds.sdnn_ms) for end in ends)
    refused: tuple[Reason, str] | None = None
    if 60_000 / mean_ibi_ms > MAX_RESTING_PER_MIN:
        refused = Reason.NOT_AT_REST, _not_at_rest(60_000 / mean_ibi_ms)
    elif max(score, 1 - score) < MIN_PROBABILITY or spread == [0.0, 1.0]:
        refused = Reason.TOO_UNCERTAIN, _undecided(ends, thresholds.sdnn_ms, duration_s)
    return Stress(
        value=None if refused else "stress" if score > 0.5 else "no_stress",
        unit=STRESS.unit,
        status=VitalStatus.ABSTAINED if refused else VitalStatus.EXPERIMENTAL,
        reason=refused[0] if refused else None,
        score=round(score, 3),
        interval=(spread[0], spread[1]),
        interval_level=sdnn.interval_level,
        detail=refused[1] if refused else None,
        diagnostics={
            "sdnn_ms": sdnn.value,
            "sdnn_low_ms": sdnn.interval[0],
            "sdnn_high_ms": sdnn.interval[1],
            "sdnn_adjusted_ms": round(adjusted_to_rest_ms(sdnn.value, mean_ibi_ms), 1),
            "sdnn_5_min_low_ms": round(ends[0], 1),
            "sdnn_5_min_high_ms": round(ends[1], 1),
            "lf_hf": ratio.value if ratio is not None else None,
            "probability_sdnn_low": round(low, 3),
        },
        baseline=BASELINE,
        method=method,
    )


def adjusted_to_rest_ms(sdnn_ms: float, mean_ibi_ms: float) -> float:
    """Return the SDNN that the same variation of the heart rate has at a mean interval of `REST_IBI_MS`."""
    return sdnn_ms * (REST_IBI_MS / mean_ibi_ms) ** 2


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure stress, by the user's `StressThresholds`."""
    pulse = inputs.pulse
    known = inputs.known.get(HEART_RATE_VARIABILITY.name)
    beats = known if isinstance(known, HeartRateVariability) else variability(pulse)
    thresholds = inputs.option(StressThresholds)
    return VitalResult(stress(beats, thresholds, pulse.frames, pulse.duration_s))


@dataclass(frozen=True)
class _LogNormal:
    """Log-normal distribution of a positive quantity: its median's logarithm, and the standard deviation around it."""

    middle: float
    spread: float

    def below(self, threshold: float) -> float:
        """Probability that it is below a threshold."""
        return float(norm.cdf((np.log(threshold) - self.middle) / self.spread))

    def interval(self) -> Interval:
        """Its 90 % interval."""
        return float(np.exp(self.middle - _Z * self.spread)), float(np.exp(self.middle + _Z * self.spread))


def _log_normal(measure: Measure) -> _LogNormal:
    """Distribution of a measure by its upper bound: the lower one is 0 if the error is larger than the value."""
    if measure.value is None or measure.interval is None:
        raise ValueError("a measure without a value has no probability")
    value = max(measure.value, 1e-3)
    return _LogNormal(float(np.log(value)), max(float(np.log(max(measure.interval[1], value) / value)) / _Z, 1e-3))


def _of_five_minutes_at_rest(sdnn: Measure, mean_ibi_ms: float, duration_s: float) -> _LogNormal:
    """Distribution of SDNN of five minutes at `REST_IBI_MS`, given that of a clip of so many seconds."""
    of_clip = _log_normal(sdnn)
    shortfall, spread = VARIABILITY_MODEL.shortfall_of(duration_s)
    adjustment = float(np.log(adjusted_to_rest_ms(1.0, mean_ibi_ms)))
    return _LogNormal(of_clip.middle + adjustment + shortfall, float(np.hypot(of_clip.spread, spread)))


def _not_at_rest(rate_per_min: float) -> str:
    return (
        f"the heart beats {rate_per_min:.0f} times a minute, above {MAX_RESTING_PER_MIN:g}: it is not at rest, and "
        "exercise lowers variability as stress does"
    )


def _undecided(ends: Interval, threshold_ms: float, duration_s: float) -> str:
    return (
        f"{duration_s:.0f} s do not show whether the variability of five minutes at rest would exceed {threshold_ms:g} "
        f"ms: {ends[0]:.0f} to {ends[1]:.0f} ms"
    )
