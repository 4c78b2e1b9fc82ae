"""Stress from heart-rate variability: experimental, and no surer than the variability it rests on.

Low SDNN goes with stress, and so does a high LF/HF where the clip is long enough (Kim, Cheon, Bai, Lee, Koo 2018,
"Stress and heart rate variability: a meta-analysis and review of the literature", Psychiatry Investig. 15(3):235).
The score is the probability that SDNN lies below its threshold, given its interval: near 0.5 the verdict is a toss.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm

from shared.schemas import Baseline, Measure, Vital, VitalStatus
from shared.vitals import STRESS, Reason
from workers.rppg.method import method_of

#: Half of an interval at 90 % in standard deviations.
_Z: Final = 1.645

#: How often "SDNN below 50 ms" of 15 s differs from that of five minutes.
BASELINE: Final = Baseline(value=0.0, mae=0.195, source="verdicts of 15 s that differ from those of 5 min")


@dataclass(frozen=True)
class StressThresholds:
    """SDNN below, or LF/HF above, speak for stress."""

    sdnn_ms: float = 50.0
    lf_hf: float = 2.5


def stress(variability: Vital, thresholds: StressThresholds, models: Iterable[str], frames: int) -> Vital:
    """The vital `stress` from the vital `heart_rate_variability`: experimental, or silent for the same reason."""
    method = method_of("SDNN, and LF/HF where there is one, against thresholds", models, frames)
    measures = variability.value if isinstance(variability.value, dict) else {}
    sdnn = measures.get("sdnn_ms")
    if sdnn is None or sdnn.value is None or sdnn.interval is None:
        reason = (sdnn.reason if sdnn else variability.reason) or Reason.NO_PULSE
        return Vital.without_value(
            STRESS.unit, VitalStatus.ABSTAINED, reason, "it rests on SDNN, and there is none", method
        )
    low = below(sdnn, thresholds.sdnn_ms)
    ratio = measures.get("lf_hf")
    scores = [low]
    if ratio is not None and ratio.value is not None and ratio.interval is not None:
        scores.append(1 - below(ratio, thresholds.lf_hf))
    score = float(np.mean(scores))
    # The two ends of SDNN's interval, as scores: how far the verdict could move.
    spread = tuple(sorted(round(_verdict(end, thresholds.sdnn_ms), 3) for end in sdnn.interval))
    return Vital(
        value="stress" if score > 0.5 else "no_stress",
        unit=STRESS.unit,
        status=VitalStatus.EXPERIMENTAL,
        score=round(score, 3),
        interval=(spread[0], spread[1]),
        interval_level=sdnn.interval_level,
        detail="near 0.5 the verdict is a toss" if 0.2 < score < 0.8 else None,
        ingredients={
            "sdnn_ms": sdnn.value,
            "sdnn_low_ms": sdnn.interval[0],
            "sdnn_high_ms": sdnn.interval[1],
            "lf_hf": ratio.value if ratio is not None else None,
            "probability_sdnn_low": round(low, 3),
        },
        baseline=BASELINE,
        method=method,
    )


def below(measure: Measure, threshold: float) -> float:
    """Probability that a positive quantity lies below a threshold, its interval taken as that of a log-normal one."""
    if measure.value is None or measure.interval is None:
        raise ValueError("a measure without a value has no probability")
    low, high = (max(end, 1e-3) for end in measure.interval)
    middle, spread = (np.log(low) + np.log(high)) / 2, max((np.log(high) - np.log(low)) / (2 * _Z), 1e-3)
    return float(norm.cdf((np.log(threshold) - middle) / spread))


def _verdict(sdnn_ms: float, threshold: float) -> float:
    return 1.0 if sdnn_ms < threshold else 0.0
