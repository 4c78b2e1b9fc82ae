"""A worker's clock is compared with the broker's, also if the broker responds slowly."""

import time
from typing import cast

import pytest

from shared.jobs.job_store import JobStore
from workers.job_runner import clock


class SlowBroker:
    """A broker that returns its time after `takes_s`; this machine's clock is ahead by `ahead_s`."""

    def __init__(self, ahead_s: float, takes_s: float) -> None:
        self.time_s, self._ahead_s, self._takes_s = 1e9, ahead_s, takes_s

    def here(self) -> float:
        return self.time_s + self._ahead_s

    def now(self) -> float:
        self.time_s += self._takes_s
        return self.time_s


@pytest.mark.parametrize("takes_s", [0.0, 1.0, 20.0])
def test_a_slow_response_is_not_a_wrong_clock(monkeypatch: pytest.MonkeyPatch, takes_s: float) -> None:
    broker = SlowBroker(0, takes_s)
    monkeypatch.setattr(time, "time", broker.here)
    clock.check_clock(cast("JobStore", broker))


@pytest.mark.parametrize(("ahead_s", "way"), [(60, "60 s ahead of"), (-60, "60 s behind")])
def test_a_wrong_clock_is_reported(monkeypatch: pytest.MonkeyPatch, ahead_s: float, way: str) -> None:
    broker = SlowBroker(ahead_s, 0)
    monkeypatch.setattr(time, "time", broker.here)
    with pytest.raises(clock.ClockSkewError, match=way):
        clock.check_clock(cast("JobStore", broker))
