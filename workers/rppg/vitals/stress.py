"""Stress from heart-rate variability: experimental, and no surer than the variability it rests on.

Low SDNN goes with stress, and so does a high LF/HF where the clip is long enough (Kim, Cheon, Bai, Lee, Koo 2018,
"Stress and heart rate variability: a meta-analysis and review of the literature", Psychiatry Investig. 15(3):235).
The threshold is one of five minutes, and a clip's SDNN is lower than that: slow waves have no time to show. So the
score is the probability that SDNN of five minutes lies below the threshold, given the clip's, its error and how far
such clips fall short. Where it is neither high nor low there is no verdict.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm

from shared.schemas import Baseline, HeartRateVariability, Interval, Measure, Stress, VitalStatus
from shared.vitals import STRESS, Reason
from workers.rppg.fusion.calibration import CALIBRATION
from workers.rppg.vitals.method import method_of

#: Half of an interval at 90 % in standard deviations.
_Z: Final = 1.645

#: A verdict is told where its probability is at least that of our intervals.
SURE: Final = 0.9

#: How often "SDNN below 50 ms" of 15 s differs from that of five minutes.
BASELINE: Final = Baseline(value=0.0, mae=0.195, source="verdicts of 15 s that differ from those of 5 min")


@dataclass(frozen=True)
class StressThresholds:
    """SDNN below, or LF/HF above, speak for stress."""

    sdnn_ms: float = 50.0
    lf_hf: float = 2.5


def stress(
    variability: HeartRateVariability,
    thresholds: StressThresholds,
    models: Iterable[str],
    frames: int,
    duration_s: float,
) -> Stress:
    """The vital `stress` from the vital `heart_rate_variability` of so many seconds: experimental, or silent.

    Silent for the reason that there is no SDNN, or as too short a clip where it leaves the verdict open; then with its
    score and what that is made of all the same.
    """
    method = method_of("SDNN, and LF/HF where there is one, against thresholds", models, frames)
    measures = variability.value
    sdnn = measures.sdnn_ms if measures else None
    if sdnn is None or sdnn.value is None or sdnn.interval is None:
        reason = (sdnn.reason if sdnn else variability.reason) or Reason.NO_PULSE
        return Stress.without_value(
            STRESS.unit, VitalStatus.ABSTAINED, reason, "it rests on SDNN, and there is none", method
        )
    full = _of_five_minutes(sdnn, duration_s)
    low = full.below(thresholds.sdnn_ms)
    ratio = measures.lf_hf if measures else None
    scores = [low]
    if ratio is not None and ratio.value is not None and ratio.interval is not None:
        scores.append(1 - _log_normal(ratio).below(thresholds.lf_hf))
    score = float(np.mean(scores))
    ends = full.interval()
    # The two ends of that interval, as scores: how far the verdict could move.
    spread = sorted(float(end < thresholds.sdnn_ms) for end in ends)
    sure = max(score, 1 - score) >= SURE
    return Stress(
        value=("stress" if score > 0.5 else "no_stress") if sure else None,
        unit=STRESS.unit,
        status=VitalStatus.EXPERIMENTAL if sure else VitalStatus.ABSTAINED,
        reason=None if sure else Reason.CLIP_TOO_SHORT,
        score=round(score, 3),
        interval=(spread[0], spread[1]),
        interval_level=sdnn.interval_level,
        detail=None if sure else _undecided(ends, thresholds.sdnn_ms, duration_s),
        diagnostics={
            "sdnn_ms": sdnn.value,
            "sdnn_low_ms": sdnn.interval[0],
            "sdnn_high_ms": sdnn.interval[1],
            "sdnn_5_min_low_ms": round(ends[0], 1),
            "sdnn_5_min_high_ms": round(ends[1], 1),
            "lf_hf": ratio.value if ratio is not None else None,
            "probability_sdnn_low": round(low, 3),
        },
        baseline=BASELINE,
        method=method,
    )


@dataclass(frozen=True)
class _LogNormal:
    """What is known of a positive quantity: its median's logarithm, and the standard deviation around that."""

    middle: float
    spread: float

    def below(self, threshold: float) -> float:
        """Probability that it lies below a threshold."""
        return float(norm.cdf((np.log(threshold) - self.middle) / self.spread))

    def interval(self) -> Interval:
        """Its 90 % interval."""
        return float(np.exp(self.middle - _Z * self.spread)), float(np.exp(self.middle + _Z * self.spread))


def _log_normal(measure: Measure) -> _LogNormal:
    """The measure by its upper end: the lower one of an error larger than the value is nought."""
    if measure.value is None or measure.interval is None:
        raise ValueError("a measure without a value has no probability")
    value = max(measure.value, 1e-3)
    return _LogNormal(float(np.log(value)), max(float(np.log(max(measure.interval[1], value) / value)) / _Z, 1e-3))


def _of_five_minutes(sdnn: Measure, duration_s: float) -> _LogNormal:
    """SDNN of five minutes, given that of so many seconds in them."""
    of_clip = _log_normal(sdnn)
    shortfall, spread = CALIBRATION.variability.shortfall_of(duration_s)
    return _LogNormal(of_clip.middle + shortfall, float(np.hypot(of_clip.spread, spread)))


def _undecided(ends: Interval, threshold_ms: float, duration_s: float) -> str:
    return (
        f"{duration_s:.0f} s leave open whether five minutes would show more than {threshold_ms:g} ms of variability: "
        f"{ends[0]:.0f} to {ends[1]:.0f} ms"
    )
