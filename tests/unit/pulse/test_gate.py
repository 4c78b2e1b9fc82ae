"""The gate depends on no vital; what it refuses has a reason that names what was seen."""

import re
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest

import workers.rppg.fusion
from shared.vitals import HEART_RATE, Reason, VitalSpec
from tests.unit.pulse.conftest import MakeTraces
from workers.rppg.fusion.evidence import RATES_PER_MIN, Evidence
from workers.rppg.fusion.gate import RATE_RANGE_PER_MIN, refusal
from workers.rppg.fusion.pulse import Pulse, estimate_pulse


def test_the_fusion_knows_no_vital() -> None:
    for found in iter_modules(workers.rppg.fusion.__path__, "workers.rppg.fusion."):
        values = vars(import_module(found.name)).items()
        assert not [name for name, value in values if isinstance(value, VitalSpec)], found.name
        assert not [
            name for name, value in values if str(getattr(value, "__module__", "")).startswith("workers.rppg.vitals")
        ]


def test_the_gates_range_of_rates_is_that_of_the_heart_rate() -> None:
    assert HEART_RATE.plausible == RATE_RANGE_PER_MIN


def test_a_head_that_does_not_sway_is_a_picture(make_traces: MakeTraces) -> None:
    pulse = estimate_pulse(make_traces())
    assert refusal(pulse) is None
    swaying, still = (replace(pulse, sway=sway) for sway in (0.0007, 0.0002))
    assert refusal(swaying) is None
    refused = refusal(still)
    assert refused is not None
    assert refused[0] is Reason.NO_PULSE
    assert "picture" in refused[1]


def _changed(
    pulse: Pulse,
    probability: float | None = None,
    second: float = 0.0,
    **curves: Any,  # noqa: ANN401  (a rate and a value)
) -> Pulse:
    """The pulse with another probability, and with curves that have a value at a rate: `name=(rate, value)`."""
    evidence: Evidence = pulse.evidence
    for name, (rate, value) in curves.items():
        curve = np.where(np.abs(RATES_PER_MIN - rate) < 2, value, getattr(evidence, name))
        changed: dict[str, Any] = {name: curve}
        evidence = replace(evidence, **changed)
    verdict = pulse.verdict
    if probability is not None:
        verdict = replace(verdict, probability=probability, belief=probability, second=second, second_per_min=104.0)
    return replace(pulse, evidence=evidence, verdict=verdict)


def test_what_varies_in_clothes_as_in_skin_is_light(make_traces: MakeTraces) -> None:
    pulse = estimate_pulse(make_traces())
    rate = pulse.verdict.rate_per_min
    # Noise alone may be as strong, and a line may be weak: a room lamp, or blood that an encoder spread.
    assert refusal(_changed(pulse, lit=(rate, 1.1), lit_line=(rate, 1.0))) is None
    assert refusal(_changed(pulse, lit=(rate, 0.2), lit_line=(rate, 5.0))) is None
    refused = refusal(_changed(pulse, lit=(rate, 1.1), lit_line=(rate, 5.0)))
    assert refused is not None
    assert refused[0] is Reason.LIGHTING_UNSTABLE
    assert "72 /min" in refused[1]
    witnesses: tuple[dict[str, Any], ...] = ({"beside_skin": (rate, 0.9)}, {"skin": (rate, 0.02)})
    for witness in witnesses:
        refused = refusal(_changed(pulse, **witness))
        assert refused is not None
        assert refused[0] is Reason.LIGHTING_UNSTABLE


def test_a_rate_that_the_head_moves_at_or_that_cleaning_made_is_motion(make_traces: MakeTraces) -> None:
    pulse = estimate_pulse(make_traces())
    rate = pulse.verdict.rate_per_min
    # A head recoils from its own heart.
    assert refusal(_changed(pulse, motion_line=(rate, 2.5))) is None
    witnesses: tuple[dict[str, Any], ...] = ({"motion_line": (rate, 5.0)}, {"uncleaned": (rate, 0.0)})
    for witness in witnesses:
        refused = refusal(_changed(pulse, **witness))
        assert refused is not None
        assert refused[0] is Reason.MOTION


def test_the_reason_of_an_unsure_rate_names_what_was_seen(make_traces: MakeTraces) -> None:
    pulse = estimate_pulse(make_traces())
    nothing = refusal(_changed(pulse, 0.3))
    assert nothing is not None
    assert nothing[0] is Reason.NO_PULSE
    two = refusal(_changed(pulse, 0.45, second=0.35))
    assert two is not None
    assert two[0] is Reason.ESTIMATORS_DISAGREE
    assert "72 (45%) and 104 /min (35%)" in two[1]
    moved = refusal(_changed(pulse, 0.3, uncleaned=(98.0, 6.0)))
    assert moved is not None
    assert moved[0] is Reason.MOTION
    assert re.search(r"(96|97|98|99) /min", moved[1])


@pytest.mark.parametrize("rate", [31.0, 34.0, 37.0, 39.0, 40.0, 42.0, 45.0, 48.0])
def test_a_slow_heart_is_not_doubled(make_traces: MakeTraces, rate: float) -> None:
    pulse = estimate_pulse(make_traces(rate_per_min=rate))
    assert refusal(pulse) is not None or pulse.rate_per_min == pytest.approx(rate, abs=1)


def test_a_breath_at_half_of_the_rate_hides_no_pulse(make_traces: MakeTraces) -> None:
    traces = make_traces(rate_per_min=66.0)
    breath = 1 + 0.002 * np.sin(2 * np.pi * 33 / 60 * traces.times_s)
    breathing = replace(traces, regions=traces.regions * breath)
    pulse = estimate_pulse(breathing)
    assert pulse.half_db < 0
    assert refusal(pulse) is None


@pytest.mark.parametrize("edge", RATE_RANGE_PER_MIN)
def test_the_edge_of_the_pulse_band_is_not_reported_unless_beats_confirm_it(
    make_traces: MakeTraces, edge: float
) -> None:
    """Estimators find the edge for a rate beyond it as well."""
    pulse = estimate_pulse(make_traces())
    verdict = replace(pulse.verdict, rate_per_min=edge, at_edge=True)
    at_edge = replace(pulse, verdict=verdict, rate_per_min=edge)
    assert refusal(at_edge) == (
        Reason.NO_PULSE,
        "the rate found is at the edge of the range 39 to 210 /min, and may be outside of it",
    )
    counted = replace(at_edge, rate_per_min=edge + (0.2 if edge < 100 else -0.2))
    assert refusal(counted) is None


@pytest.mark.parametrize("rate", [205.0, 209.0, 212.0, 220.0])
def test_a_rate_at_the_upper_edge_is_right_or_refused(make_traces: MakeTraces, rate: float) -> None:
    pulse = estimate_pulse(make_traces(rate_per_min=rate))
    assert refusal(pulse) is not None or pulse.rate_per_min == pytest.approx(rate, abs=1)
