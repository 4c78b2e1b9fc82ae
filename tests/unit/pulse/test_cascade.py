"""Networks take most of the time: they run if they can change the result, and only then."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.models.memory import OutOfMemory
from workers.rppg.estimators import Estimator
from workers.rppg.fusion.cascade import estimate_pulse
from workers.rppg.fusion.gate import refusal
from workers.rppg.network_sessions import RppgModels
from workers.rppg.signals.traces import Traces

from .conftest import MakeTraces, pulse_at


@pytest.fixture(name="run_networks")
def _run_networks() -> list[str]:
    return []


@pytest.fixture(name="estimators")
def _estimators(quick_models: RppgModels, run_networks: list[str]) -> dict[str, Estimator]:
    def network(name: str) -> Callable[[Traces], NDArray[np.float64]]:
        def answer(traces: Traces) -> NDArray[np.float64]:
            run_networks.append(name)
            return pulse_at(traces.times_s, 72.0)

        return answer

    return {**quick_models.estimators, "deepphys": network("deepphys"), "tscan": network("tscan")}


def test_a_clear_pulse_runs_no_network(
    make_traces: MakeTraces, estimators: dict[str, Estimator], run_networks: list[str]
) -> None:
    pulse = estimate_pulse(make_traces(), estimators)
    assert refusal(pulse) is None
    assert not run_networks


def test_a_doubtful_pulse_runs_networks_one_after_the_other(
    make_traces: MakeTraces, estimators: dict[str, Estimator], run_networks: list[str]
) -> None:
    traces = make_traces(strength=0.0006, noise=0.006, seed=3)
    signal = {name: run for name, run in estimators.items() if name not in {"deepphys", "tscan"}}
    doubt = estimate_pulse(traces, signal)
    assert refusal(doubt) is not None
    pulse = estimate_pulse(traces, estimators)
    assert run_networks[0] == "deepphys"
    assert "deepphys" in {estimate.name for estimate in pulse.estimates}


def test_noise_has_no_rate_even_if_all_networks_output_one(
    make_traces: MakeTraces, estimators: dict[str, Estimator], run_networks: list[str]
) -> None:
    """Here both networks output a perfect pulse of 72 /min, and no other estimator does."""
    pulse = estimate_pulse(make_traces(strength=0.0, noise=0.01, seed=7), estimators)
    assert sorted(run_networks) == ["deepphys", "tscan"]
    assert refusal(pulse) is not None


def test_thorough_runs_all(make_traces: MakeTraces, estimators: dict[str, Estimator], run_networks: list[str]) -> None:
    pulse = estimate_pulse(make_traces(), estimators, thorough=True)
    assert sorted(run_networks) == ["deepphys", "tscan"]
    assert {estimate.name for estimate in pulse.estimates} == set(estimators)


def test_no_estimator_is_an_error(make_traces: MakeTraces) -> None:
    with pytest.raises(ValueError, match="no estimator"):
        estimate_pulse(make_traces(), {})


@pytest.mark.parametrize("thorough", [False, True])
def test_a_network_that_runs_out_of_memory_has_no_vote(
    make_traces: MakeTraces, estimators: dict[str, Estimator], *, thorough: bool
) -> None:
    def full(_: Traces) -> NDArray[np.float64]:
        raise OutOfMemory("tscan ran out of the device's memory twice")

    traces = make_traces(strength=0.0006, noise=0.006, seed=3)
    pulse = estimate_pulse(traces, estimators | {"tscan": full}, thorough=thorough)
    assert "tscan" not in {estimate.name for estimate in pulse.estimates}
    with pytest.raises(OutOfMemory):
        estimate_pulse(traces, {"tscan": full})


def test_an_estimator_without_calibration_is_listed_and_changes_nothing_else(
    make_traces: MakeTraces, quick_models: RppgModels
) -> None:
    def uncalibrated(traces: Traces) -> NDArray[np.float64]:
        return pulse_at(traces.times_s, 140.0)

    traces = make_traces()
    known = estimate_pulse(traces, quick_models.estimators)
    pulse = estimate_pulse(traces, {"new": uncalibrated, **quick_models.estimators})
    assert "new" in {estimate.name for estimate in pulse.estimates}
    assert (pulse.agreement, pulse.evidence, pulse.rate_per_min) == (
        known.agreement,
        known.evidence,
        known.rate_per_min,
    )
    assert np.array_equal(pulse.wave, known.wave)


def test_a_pulse_of_uncalibrated_estimators_alone_is_not_reported(make_traces: MakeTraces) -> None:
    traces = make_traces()
    pulse = estimate_pulse(traces, {"new": lambda found: pulse_at(found.times_s, 72.0)})
    assert pulse.rate_per_min == pytest.approx(72, abs=0.5)
    refused = refusal(pulse)
    assert refused is not None
    assert "calibrated" in refused[1]
