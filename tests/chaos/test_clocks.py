"""Wrong clocks: a worker with one does not start; a gateway's has no influence on deadlines."""

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.conftest import Service, wait_until

FAULTY_WORKER = "tests.service.faulty_worker"
MakeService = Callable[..., Service]


@pytest.fixture(scope="module")
def faketime() -> str:
    """Path of the library that shifts the clock of a process."""
    if sys.platform != "linux":
        pytest.skip("libfaketime is taken from a Linux distribution")
    script = Path(__file__).parents[2] / "tools" / "faketime.sh"
    return subprocess.run(["bash", str(script)], capture_output=True, text=True, check=True).stdout.strip()


def shifted(faketime: str, seconds: int) -> dict[str, str]:
    """Environment variables that set the clock of a process ahead by `seconds`."""
    # Waits use the monotonic clock, which is not shifted.
    return {
        "LD_PRELOAD": faketime,
        "FAKETIME": f"{seconds:+d}s",
        "DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.parametrize(("seconds", "way"), [(120, "ahead of"), (-30, "behind")])
def test_a_worker_with_a_wrong_clock_reports_it_and_does_not_start(
    make_service: MakeService, faketime: str, seconds: int, way: str
) -> None:
    service = make_service()
    job = service.submit()
    worker = service.start_worker("vision,rppg", FAULTY_WORKER, False, **shifted(faketime, seconds))
    assert worker.process.wait(60) == 1
    assert f"clock is {abs(seconds)} s {way} the broker's" in service.whole_logs()
    service.start_worker("vision,rppg", FAULTY_WORKER, True, **shifted(faketime, 2))
    assert service.finished(job)["state"] == "succeeded"


def test_a_gateway_with_a_wrong_clock_ends_no_job_early(make_service: MakeService, faketime: str) -> None:
    service = make_service()
    service.children[0].stop(5)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shifted(faketime, 3600).items():
            patch.setitem(service.env, name, value)
        service.start_gateway()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG="slow")
    document = service.finished(service.submit())
    assert document["state"] == "succeeded"
    created, ended = (dt.datetime.fromisoformat(document[name]) for name in ("created_at", "finished_at"))
    assert abs((created - dt.datetime.now(dt.UTC)).total_seconds()) < 600, "times come from the broker"
    assert ended > created
    wait_until(lambda: not service.clips, "the clip is erased")
