"""Respiration rate: the rate of breathing with its interval, or the reason why there is none."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from shared.schemas import Baseline, RespirationRate, Vital, VitalStatus
from shared.vitals import HEART_RATE, RESPIRATION_RATE, Reason
from workers.rppg.fusion.calibration import section
from workers.rppg.vitals.breathing import (
    BREATHING,
    BREATHING_BAND_HZ,
    RATES_PER_MIN,
    SLOW_HZ,
    Breathing,
    breathing_of,
    decimate,
    explained_share,
    fuse,
)
from workers.rppg.vitals.measurement import VitalInputs, VitalResult, method_of, spectrum_over, wave_of

#: The error of always reporting the mean (VitalLens technical report).
BASELINE: Final = Baseline(value=16.0, mae=3.81, source="a constant, on VV-Medium")

#: Level of the interval.
INTERVAL_LEVEL: Final = 0.9

#: Reasons without a pulse that don't exclude breathing: no pulse was found, and nothing disturbed it.
_PULSE_NOT_FOUND: Final = frozenset({Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE})


@dataclass(frozen=True)
class RespirationGate:
    """Thresholds of the vital, as calibrated.

    Attributes:
        min_confidence: confidence in the rate that is needed.
        min_prominence: prominence of the belief's peak that is needed.
        chest_swing: without a pulse, bounds of the amplitude of the chest's motion, face widths.
        chest_explained: without a pulse, share of that motion that one sine has to explain.
    """

    min_confidence: float
    min_prominence: float
    chest_swing: tuple[float, float]
    chest_explained: float


def _calibrated() -> RespirationGate:
    values = section("respiration")
    return RespirationGate(**{field.name: values[field.name] for field in fields(RespirationGate)})


#: The gate as calibrated.
GATE: Final = _calibrated()


def breathing_of_chest(chest: NDArray[np.float64], head: NDArray[np.float64], fs: float) -> Breathing | None:
    """Return breathing from the heights (n,), face widths, of chest and head at `fs` Hz, or None if it is not certain.

    A picture's chest does not move, that of a waved one moves by a face's width, and both move like their head.
    """
    gate = GATE
    breathing = fuse({name: (decimate(height, fs), SLOW_HZ) for name, height in (("head", head), ("chest", chest))})
    at = int(np.argmax(breathing.belief))
    own = explained_share(decimate(chest - head, fs), SLOW_HZ)[at] * _swing(chest - head, fs)
    moves = gate.chest_swing[0] <= _swing(chest, fs) <= gate.chest_swing[1] and own >= gate.chest_swing[0] / 2
    clear = explained_share(decimate(chest, fs), SLOW_HZ)[at] >= gate.chest_explained
    return breathing if moves and clear and "chest" in breathing.agreeing and refusal(breathing) is None else None


def _swing(height: NDArray[np.float64], fs: float) -> float:
    """Amplitude of a motion (n,) in the band of breathing."""
    sos = butter(2, BREATHING_BAND_HZ, btype="bandpass", fs=fs, output="sos")
    return float(np.sqrt(2) * sosfiltfilt(sos, height).std())


def refusal(breathing: Breathing) -> str | None:
    """Return why the rate is not reported, or None if it is."""
    gate = GATE
    if breathing.prominence < gate.min_prominence:
        return "no signal that breathing modulates is periodic"
    if breathing.confidence < gate.min_confidence:
        return f"the likeliest rate has {breathing.confidence:.0%} confidence"
    if breathing.at_edge:
        low, high = RESPIRATION_RATE.plausible or (RATES_PER_MIN[0], RATES_PER_MIN[-1])
        return f"the likeliest rate is at the edge of the range {low:g} to {high:g} /min, and may be outside of it"
    return None


def respiration_rate(breathing: Breathing, frames: int) -> RespirationRate:
    """Return the vital `respiration_rate`, or abstained.

    Args:
        breathing: the belief over the rate.
        frames: video frames in which the face was measured.
    """
    spec = RESPIRATION_RATE
    method = method_of("belief over " + ", ".join(BREATHING.weights), frames)
    refused = refusal(breathing)
    if refused is not None:
        return RespirationRate.without_value(
            spec.unit, VitalStatus.ABSTAINED, Reason.NO_BREATHING_SIGNAL, refused, method
        )
    rate = breathing.rate_per_min
    low, high = breathing.interval()
    return RespirationRate(
        value=round(rate, 1),
        unit=spec.unit,
        status=VitalStatus.OK,
        interval=(round(low, 1), round(high, 1)),
        interval_level=INTERVAL_LEVEL,
        baseline=BASELINE,
        method=method,
        diagnostics={
            "confidence": round(breathing.confidence, 4),
            "prominence": round(breathing.prominence, 2),
            "signals_agreeing": float(len(breathing.agreeing)),
        },
    )


def measure(inputs: VitalInputs) -> VitalResult:
    """Measure the respiration rate from everything in the traces that breathing modulates."""
    breathing = breathing_of(inputs.traces, inputs.pulse)
    return _result(respiration_rate(breathing, inputs.pulse.frames), breathing, inputs)


def measure_without_pulse(inputs: VitalInputs) -> VitalResult | None:
    """Measure the respiration rate from the chest, whose motion needs no pulse; None if that is not certain."""
    chest = inputs.traces.chest
    if inputs.known[HEART_RATE.name].reason not in _PULSE_NOT_FOUND or chest is None:
        return None
    breathing = breathing_of_chest(chest, inputs.traces.position[1], inputs.traces.fs)
    if breathing is None:
        return None
    return _result(respiration_rate(breathing, inputs.pulse.frames), breathing, inputs)


def _result(vital: Vital, breathing: Breathing, inputs: VitalInputs) -> VitalResult:
    times_s = float(inputs.traces.times_s[0]) + np.arange(len(breathing.wave)) / breathing.fs
    return VitalResult(
        vital,
        {"respiration_rate": wave_of(times_s, breathing.wave)},
        {"respiration_rate": spectrum_over(RATES_PER_MIN, breathing.belief)},
    )
