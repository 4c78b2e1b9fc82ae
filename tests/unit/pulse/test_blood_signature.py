"""The colours of a beat in patches of the face distinguish blood from a change of the light."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.rppg.fusion.blood_signature import color_signature
from workers.rppg.fusion.gate import GATE
from workers.rppg.signals.traces import Traces

from .conftest import PULSATILE, MakeTraces, pulse_at

RATE_PER_MIN = 80.0
SKIN = np.array([120.0, 80.0, 60.0])
GREY = np.ones(3)


def _traces(
    make_traces: MakeTraces, colour: NDArray[np.float64], strength: float = 0.002, noise: float = 1.5
) -> Traces:
    """Crops (n, 72, 72, 3) of skin that beats by `strength` in relative amounts `colour`."""
    traces = make_traces()
    beat = 1 - strength * pulse_at(traces.times_s, RATE_PER_MIN)[:, None] * colour
    rng = np.random.default_rng(5)
    crops = (SKIN * beat)[:, None, None] + rng.normal(scale=noise, size=(len(beat), 72, 72, 3))
    return replace(traces, crops=np.clip(np.rint(crops), 0, 255).astype(np.uint8))


def _believed(traces: Traces, rate_per_min: float = RATE_PER_MIN) -> bool:
    seen = color_signature(traces, rate_per_min / 60)
    return seen is not None and seen.pbv_contrast >= max(GATE.min_pbv_contrast, seen.error)


@pytest.mark.parametrize("strength", [0.002, 0.02])
def test_a_pulse_of_blood_has_its_colour_contrast(make_traces: MakeTraces, strength: float) -> None:
    seen = color_signature(_traces(make_traces, PULSATILE, strength), RATE_PER_MIN / 60)
    assert seen is not None
    assert seen.pbv_contrast == pytest.approx(0.38, abs=0.1)
    assert seen.error < 0.1


@pytest.mark.parametrize("strength", [0.002, 0.02])
def test_a_change_of_light_has_no_colour_contrast(make_traces: MakeTraces, strength: float) -> None:
    seen = color_signature(_traces(make_traces, GREY, strength), RATE_PER_MIN / 60)
    assert seen is not None
    assert seen.pbv_contrast == pytest.approx(0, abs=0.08)


def test_a_change_of_brightness_by_the_encoder_is_not_accepted(make_traces: MakeTraces) -> None:
    assert not _believed(_traces(make_traces, SKIN.mean() / SKIN, 0.01))


def test_noise_has_a_large_error(make_traces: MakeTraces) -> None:
    traces = _traces(make_traces, PULSATILE, strength=0.0)
    believed = [_believed(traces, rate_per_min) for rate_per_min in range(50, 180, 5)]
    assert np.mean(believed) < 0.3
    clear = color_signature(_traces(make_traces, PULSATILE), RATE_PER_MIN / 60)
    assert clear is not None
    for rate_per_min in range(50, 180, 5):
        seen = color_signature(traces, rate_per_min / 60)
        assert seen is not None
        assert seen.error > 2 * clear.error


def test_halves_that_do_not_correlate_have_no_contrast(make_traces: MakeTraces) -> None:
    traces = _traces(make_traces, PULSATILE, 0.02)
    crops = traces.crops.copy()
    crops[:, :, :36] = 2 * SKIN - crops[:, :, :36].astype(np.float64)
    seen = color_signature(replace(traces, crops=crops), RATE_PER_MIN / 60)
    assert seen is not None
    assert (seen.pbv_contrast, seen.error) == (0.0, 1.0)


def test_without_skin_in_both_halves_there_is_no_contrast(make_traces: MakeTraces) -> None:
    traces = make_traces()
    assert color_signature(replace(traces, crops=np.zeros_like(traces.crops)), 1.2) is None
    half = _traces(make_traces, PULSATILE).crops.copy()
    half[:, :, 30:] = 0
    assert color_signature(replace(traces, crops=half), 1.2) is None
    assert color_signature(replace(traces, crops=traces.crops[:, :1, :1]), 1.2) is None
