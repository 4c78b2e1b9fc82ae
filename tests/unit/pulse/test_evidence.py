"""Evidence of a pulse other than the rates of the estimators, such as coherence between parts of the face."""

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.rppg.fusion.evidence import gather
from workers.rppg.signals.filters import to_pulse_wave

from .conftest import MakeTraces, pulse_at

RATE_HZ = 1.2


def noise(seed: int, count: int) -> NDArray[np.float64]:
    return to_pulse_wave(np.random.default_rng(seed).normal(size=count), 30.0)


def test_halves_that_beat_together_correlate(make_traces: MakeTraces) -> None:
    traces = make_traces()
    beat = to_pulse_wave(pulse_at(traces.times_s, 60 * RATE_HZ), traces.fs)
    halves = {part: beat + 0.5 * noise(seed, len(beat)) for seed, part in ((1, "left"), (2, "right"))}
    waves = {"mrc": beat, "deepphys": beat}
    by_network = gather(traces, waves, beat, RATE_HZ, {"mrc": {}, "deepphys": halves})
    assert by_network.halves_correlation is not None
    assert by_network.halves_correlation > 0.9
    assert by_network.patches_coherence is None
    by_patches = gather(traces, waves, beat, RATE_HZ, {"mrc": halves, "deepphys": {}})
    assert by_patches.patches_coherence == by_network.halves_correlation
    assert by_patches.halves_correlation is None


def test_halves_of_noise_do_not_correlate(make_traces: MakeTraces) -> None:
    traces = make_traces()
    count = len(traces.times_s)
    found = [
        gather(traces, {"pos": noise(9, count)}, noise(9, count), RATE_HZ, {"deepphys": halves})
        for halves in ({"left": noise(s, count), "right": noise(s + 50, count)} for s in range(12))
    ]
    assert abs(np.mean([evidence.halves_correlation or 0.0 for evidence in found])) < 0.35


def test_without_an_estimator_of_halves_they_are_unknown(make_traces: MakeTraces) -> None:
    traces = make_traces()
    beat = to_pulse_wave(pulse_at(traces.times_s, 60 * RATE_HZ), traces.fs)
    evidence = gather(traces, {"pos": beat}, beat, RATE_HZ)
    assert evidence.halves_correlation is None
    assert evidence.neural_snr_db is None
    assert evidence.patches_coherence is None
    assert evidence.patches_snr_db is None


def test_the_snr_of_networks_is_that_of_the_clearest(make_traces: MakeTraces) -> None:
    traces = make_traces()
    beat = to_pulse_wave(pulse_at(traces.times_s, 60 * RATE_HZ), traces.fs)
    lost = noise(3, len(beat))
    alone = gather(traces, {"pos": beat, "deepphys": beat}, beat, RATE_HZ).neural_snr_db
    both = gather(traces, {"pos": beat, "deepphys": beat, "tscan": lost}, beat, RATE_HZ).neural_snr_db
    assert both == pytest.approx(alone)
