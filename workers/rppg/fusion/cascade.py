"""Which estimators are asked: those that cost next to nothing always, networks where these leave a doubt."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workers.models.memory import OutOfMemory
from workers.rppg.estimators import TURNS, Estimator
from workers.rppg.fusion.calibration import CALIBRATION
from workers.rppg.fusion.gate import refusal
from workers.rppg.fusion.pulse import Pulse, fused_pulse
from workers.rppg.signals.traces import Traces


def pulse_of(traces: Traces, estimators: Mapping[str, Estimator], *, thorough: bool = False) -> Pulse:
    """Run the estimators (by name) on traces without gaps, and fuse what they say.

    Turn by turn, until the rate is settled; `thorough` asks all. A network that runs out of memory has no vote.

    Raises:
        ValueError: no estimator at all.
        OutOfMemory: there were networks alone, and all of them ran out of memory.
    """
    waves: dict[str, NDArray[np.float64]] = {}
    pulse: Pulse | None = None
    short: OutOfMemory | None = None
    turns = sorted({TURNS.get(name, 0) for name in estimators})
    for turn in turns:
        for name, run in estimators.items():
            if TURNS.get(name, 0) == turn:
                try:
                    waves[name] = run(traces)
                except OutOfMemory as error:
                    short = error
        if not waves or (thorough and turn != turns[-1]):
            continue
        pulse = fused_pulse(traces, waves)
        if _settled(pulse):
            break
    if pulse is None:
        raise short or ValueError("no estimator")
    return pulse


def _settled(pulse: Pulse) -> bool:
    """Whether the rate can be told, and no estimator of weight says another."""
    return refusal(pulse) is None and pulse.agreement.confidence >= CALIBRATION.gate.settled_confidence
