"""Networks cost most of the time: they are asked where they can change the answer, and only there."""

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


@pytest.fixture(name="asked")
def _asked() -> list[str]:
    return []


@pytest.fixture(name="estimators")
def _estimators(quick_models: RppgModels, asked: list[str]) -> dict[str, Estimator]:
    def network(name: str) -> Callable[[Traces], NDArray[np.float64]]:
        def answer(traces: Traces) -> NDArray[np.float64]:
            asked.append(name)
            return pulse_at(traces.times_s, 72.0)

        return answer

    return {**quick_models.estimators, "deepphys": network("deepphys"), "tscan": network("tscan")}


def test_a_clear_pulse_asks_no_network(
    make_traces: MakeTraces, estimators: dict[str, Estimator], asked: list[str]
) -> None:
    pulse = estimate_pulse(make_traces(), estimators)
    assert refusal(pulse) is None
    assert not asked


def test_a_pulse_in_doubt_asks_them_one_after_the_other(
    make_traces: MakeTraces, estimators: dict[str, Estimator], asked: list[str]
) -> None:
    traces = make_traces(strength=0.0006, noise=0.006, seed=3)
    signal = {name: run for name, run in estimators.items() if name not in {"deepphys", "tscan"}}
    doubt = estimate_pulse(traces, signal)
    assert refusal(doubt) is not None
    pulse = estimate_pulse(traces, estimators)
    assert asked[0] == "deepphys"
    assert "deepphys" in {estimate.name for estimate in pulse.estimates}


def test_noise_is_told_no_rate_whoever_is_asked(
    make_traces: MakeTraces, estimators: dict[str, Estimator], asked: list[str]
) -> None:
    """Here both networks draw a perfect pulse of 72 /min: nobody else hears it."""
    pulse = estimate_pulse(make_traces(strength=0.0, noise=0.01, seed=7), estimators)
    assert sorted(asked) == ["deepphys", "tscan"]
    assert refusal(pulse) is not None


def test_thorough_asks_all(make_traces: MakeTraces, estimators: dict[str, Estimator], asked: list[str]) -> None:
    pulse = estimate_pulse(make_traces(), estimators, thorough=True)
    assert sorted(asked) == ["deepphys", "tscan"]
    assert {estimate.name for estimate in pulse.estimates} == set(estimators)


def test_nobody_to_ask_is_an_error(make_traces: MakeTraces) -> None:
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
