"""The cascade of estimators: the cheap ones always run, networks only if the gate is not confident without them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workers.models.memory import OutOfMemory
from workers.rppg.estimators import STAGES, Estimator
from workers.rppg.fusion.evidence import cleaned_rates
from workers.rppg.fusion.gate import is_confident
from workers.rppg.fusion.pulse import Pulse
from workers.rppg.fusion.wave_fusion import fused_pulse
from workers.rppg.signals.traces import Traces


def estimate_pulse(traces: Traces, estimators: Mapping[str, Estimator], *, thorough: bool = False) -> Pulse:
    """Run the estimators (by name) on traces without gaps, and fuse their waves.

    Stages run in order until the gate is confident of the rate; `thorough` runs all of them. A network that runs out of
    memory has no vote.

    Raises:
        ValueError: no estimator.
        OutOfMemory: no estimator but networks, all of which ran out of memory.
    """
    waves: dict[str, NDArray[np.float64]] = {}
    pulse: Pulse | None = None
    failure: OutOfMemory | None = None
    cleaned = cleaned_rates(traces)
    stages = sorted({STAGES.get(name, 0) for name in estimators})
    for stage in stages:
        for name, run in estimators.items():
            if STAGES.get(name, 0) == stage:
                try:
                    waves[name] = run(traces)
                except OutOfMemory as error:
                    failure = error
        if not waves or (thorough and stage != stages[-1]):
            continue
        pulse = fused_pulse(traces, waves, cleaned)
        if is_confident(pulse):
            break
    if pulse is None:
        raise failure or ValueError("no estimator")
    return pulse
