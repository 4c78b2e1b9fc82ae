"""A job ends within its deadline with a document that names what is missing, whatever fails in workers and broker."""

import datetime as dt
import os
import signal
import time
from collections.abc import Callable

import pytest

from facevitals.local.broker import crash, start_broker
from shared.vitals import Branch
from tests.service.conftest import Service, wait_until

FAULTY_WORKER = "tests.service.faulty_worker"
MakeService = Callable[..., Service]


def reasons(document: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return {name: vital["reason"] for name, vital in document["vitals"].items()}


def test_a_failing_branch_loses_only_its_own_vitals(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_VISION="raise")
    document = service.finished(service.submit())
    assert document["state"] == "succeeded"
    assert document["branches"]["vision"]["status"] == "error"
    assert document["branches"]["vision"]["error"]["code"] == "branch_failed"
    assert "secret" not in str(document)
    assert document["branches"]["rppg"]["status"] == "ok"
    assert reasons(document)["age"] == "branch_failed"
    assert reasons(document)["heart_rate"] == "no_pulse"
    wait_until(lambda: not service.clips, "the clip is erased")


def test_a_job_fails_if_both_branches_fail_and_its_clip_is_erased(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_VISION="raise", FAULT_RPPG="raise")
    document = service.finished(service.submit())
    assert document["state"] == "failed"
    assert document["error"]["code"] == "branch_failed"
    assert set(reasons(document).values()) == {"branch_failed"}
    wait_until(lambda: not service.clips, "the clip is erased")


def test_a_branch_is_retried_after_its_worker_is_killed(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG="die_once")
    document = service.finished(service.submit())
    assert document["branches"]["rppg"]["status"] == "ok"
    assert (service.folder / "tries-rppg").read_text() == ".."


@pytest.mark.parametrize("death", ["die", "segfault"])
def test_a_clip_that_kills_its_worker_is_tried_twice(make_service: MakeService, death: str) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG=death)
    document = service.finished(service.submit())
    assert document["branches"]["rppg"]["status"] == "error"
    assert "died" in document["branches"]["rppg"]["error"]["detail"]
    assert document["branches"]["vision"]["status"] == "ok"
    assert (service.folder / "tries-rppg").read_text() == ".."


def test_another_worker_takes_over_the_job_of_a_killed_one(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision", FAULTY_WORKER)
    doomed = service.start_worker("rppg", FAULTY_WORKER, FAULT_RPPG="hang")
    job = service.submit()
    wait_until((service.folder / "tries-rppg").exists, "the worker to be killed has begun")
    doomed.stop(0)
    service.start_worker("rppg", FAULTY_WORKER)
    document = service.finished(job)
    assert document["branches"]["rppg"]["status"] == "ok"
    assert (service.folder / "tries-rppg").read_text() == ".."


def test_a_frozen_worker_loses_its_claim_and_its_late_outcome_is_ignored(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision", FAULTY_WORKER)
    frozen = service.start_worker("rppg", FAULTY_WORKER, FAULT_RPPG="slow")
    job = service.submit()
    wait_until((service.folder / "tries-rppg").exists, "the worker has begun")
    os.killpg(frozen.process.pid, signal.SIGSTOP)
    service.start_worker("rppg", FAULTY_WORKER)
    document = service.finished(job)
    assert document["branches"]["rppg"]["status"] == "ok"
    os.killpg(frozen.process.pid, signal.SIGCONT)
    time.sleep(4)
    assert service.document(job) == document


def test_a_hanging_branch_is_stopped_at_its_soft_limit(make_service: MakeService) -> None:
    service = make_service(branch_soft_limit_s=4, branch_hard_limit_s=40)
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG="hang")
    document = service.finished(service.submit())
    assert document["branches"]["rppg"]["status"] == "timeout"
    assert reasons(document)["heart_rate"] == "branch_timeout"
    assert reasons(document)["age"] == "no_pulse"


def test_a_branch_that_ignores_its_soft_limit_is_killed(make_service: MakeService) -> None:
    service = make_service(branch_soft_limit_s=4, branch_hard_limit_s=6)
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG="hang_ignoring_signals")
    document = service.finished(service.submit())
    assert document["branches"]["rppg"]["status"] in {"error", "timeout"}
    assert document["branches"]["vision"]["status"] == "ok"


def test_without_workers_a_job_fails_at_its_deadline(make_service: MakeService) -> None:
    service = make_service(job_deadline_s=3)
    document = service.finished(service.submit())
    created, ended = (dt.datetime.fromisoformat(document[name]) for name in ("created_at", "finished_at"))
    # The sweep runs every second.
    assert 3 <= (ended - created).total_seconds() < 15
    assert document["state"] == "failed"
    assert set(reasons(document).values()) == {"branch_timeout"}
    assert "facevitals worker --queues" in document["error"]["detail"]
    wait_until(lambda: not service.clips, "the clip is erased")


def test_a_missing_worker_fails_only_its_branch(make_service: MakeService) -> None:
    service = make_service(job_deadline_s=8)
    service.start_worker("rppg", FAULTY_WORKER)
    document = service.finished(service.submit())
    assert document["state"] == "succeeded"
    assert document["branches"]["vision"]["status"] == "timeout"
    assert document["branches"]["rppg"]["status"] == "ok"


def test_no_job_is_lost_when_the_broker_restarts(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG="slow", FAULT_VISION="slow")
    jobs = [service.submit() for _ in range(2)]
    wait_until(lambda: any(service.folder.glob("tries-*")), "the work has begun")
    old = service.broker
    port, password = int(old.url.rsplit(":", 1)[1].split("/")[0]), old.url.split(":")[2].split("@")[0]
    crash(old)
    # Longer than the work in progress, and than a client's retries of one command.
    time.sleep(5)
    service.broker = start_broker(service.folder / "broker", port=port, password=password)
    for job in jobs:
        document = service.finished(job)
        assert {branch["status"] for branch in document["branches"].values()} == {"ok"}
    # Results are kept and not computed again.
    assert {(service.folder / f"tries-{branch}").read_text() for branch in Branch} == {".."}


def test_a_job_deleted_while_it_runs_does_not_come_back(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_RPPG="slow")
    job = service.submit()
    wait_until((service.folder / "tries-rppg").exists, "the work has begun")
    with service.client() as client:
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        assert client.get(f"/v1/jobs/{job}").status_code == 404
        assert not service.clips
        time.sleep(4)
        assert client.get(f"/v1/jobs/{job}").status_code == 404
    assert not list(service.redis.scan_iter(match=f"*{job}*"))
