"""Waiting and running have separate time limits, and an upload whose job would wait too long is refused."""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.dependencies import Gateway
from api.problems import QueueFull
from api.sweep import sweep_jobs
from facevitals.local.broker import Broker
from shared.jobs.celery_messages import job_of
from shared.jobs.keys import PACE, WORKING, record_key, waiting_key
from shared.jobs.overdue import STRANDED_S
from shared.jobs.waiting import ASSUMED_WORK_S, QueueLoad, oldest_s, queue_loads, seconds_each
from shared.jobs.worker_registry import WorkerCard, put_card
from shared.schemas import BranchOutcome, BranchStatus, ErrorCode, JobDocument, JobOptions
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, gateway_in_process

FAULTY_WORKER = "tests.service.faulty_worker"
BOTH = {Branch.VISION: 2.0, Branch.RPPG: 3.0}


def card(*queues: str, name: str = "one") -> WorkerCard:
    return WorkerCard(id=name, queues=list(queues), device="cpu", models=[])


def test_the_time_per_message_depends_on_the_workers_of_its_queue() -> None:
    assert seconds_each(Branch.RPPG, BOTH, [card("rppg")]) == 3
    assert seconds_each(Branch.RPPG, BOTH, [card("rppg"), card("rppg"), card("vision")]) == 1.5
    # A process that serves both queues works through both.
    assert seconds_each(Branch.RPPG, BOTH, [card("vision", "rppg")]) == pytest.approx(5)
    assert seconds_each(Branch.VISION, BOTH, [card("vision", "rppg")]) == pytest.approx(5)
    # Without a card, one worker is assumed.
    assert seconds_each(Branch.RPPG, BOTH, []) == 3


def test_the_limit_of_waiting_jobs_follows_from_the_maximum_wait() -> None:
    assert QueueLoad(0, 3).max_waiting(300) == 100
    assert QueueLoad(0, 400).max_waiting(300) == 1
    assert QueueLoad(7, 3).expected_wait_s == 21


@pytest.fixture
def gateway(broker: Broker, tmp_path: Path) -> Gateway:
    return gateway_in_process(
        Settings(redis_url=broker.url, data_dir=tmp_path, max_wait_s=300, job_deadline_s=90, clip_ttl_s=3600)
    )


def made(gateway: Gateway, job_id: str) -> str:
    clip_key, deadline_s = f"clips/{job_id}", gateway.settings.longest_job_s
    options = JobOptions()
    assert gateway.jobs.submissions.create(
        job_id, list(Branch), options, owner="-", clip_key=clip_key, deadline_s=deadline_s
    )
    return job_id


def grow_older(gateway: Gateway, job_id: str, seconds: float) -> None:
    for branch in Branch:
        gateway.jobs.redis.execute_command("ZADD", waiting_key(branch), "XX", "INCR", -seconds, job_id)


def document(gateway: Gateway, job_id: str) -> JobDocument:
    found = gateway.records.document(job_id)
    assert found is not None
    return found


def errors(found: JobDocument) -> dict[str, str | None]:
    return {
        name: report.error.code.value if report.error else None for name, report in found.branches.by_name().items()
    }


def test_a_job_waits_up_to_the_maximum_wait_while_workers_exist(gateway: Gateway) -> None:
    job = made(gateway, "one")
    put_card(gateway.jobs.redis, card("vision", "rppg"))
    grow_older(gateway, job, 500)
    sweep_jobs(gateway)
    assert document(gateway, job).state == "queued"
    grow_older(gateway, job, 101)
    sweep_jobs(gateway)
    ended = document(gateway, job)
    assert set(errors(ended).values()) == {"queue_timeout"}
    assert {vital.reason for vital in ended.vitals.by_name().values()} == {"queue_timeout"}
    assert ended.error is not None
    assert not ended.error.code.rejects_clip


def test_a_job_that_has_begun_does_not_end_by_queue_timeout(gateway: Gateway) -> None:
    jobs, job = gateway.jobs, made(gateway, "one")
    assert jobs.leases.of(job, Branch.RPPG).begin(90) == "go"
    jobs.outcomes.end_branch(job, Branch.RPPG, ErrorCode.QUEUE_TIMEOUT, "Too late.", only_waiting=True)
    assert document(gateway, job).branches.rppg.status is BranchStatus.RUNNING
    assert jobs.outcomes.write(job, Branch.RPPG, BranchOutcome(status=BranchStatus.OK, elapsed_ms=1))[0]


def test_a_branch_without_workers_ends_earlier_and_names_the_missing_worker(gateway: Gateway) -> None:
    job = made(gateway, "one")
    put_card(gateway.jobs.redis, card("rppg"))
    grow_older(gateway, job, 91)
    sweep_jobs(gateway)
    ended = document(gateway, job)
    assert errors(ended) == {"vision": "branch_timeout", "rppg": None}
    assert ended.branches.vision.error is not None
    assert "facevitals worker --queues vision" in ended.branches.vision.error.detail
    assert ended.state == "queued"


def test_a_worker_without_a_card_that_holds_a_lease_counts_as_present(gateway: Gateway) -> None:
    first, second = made(gateway, "one"), made(gateway, "two")
    for branch in Branch:
        gateway.jobs.leases.of(first, branch).begin(90)
    grow_older(gateway, second, 200)
    sweep_jobs(gateway)
    assert document(gateway, second).state == "queued"


def test_the_deadline_of_the_work_starts_when_it_begins(gateway: Gateway) -> None:
    job = made(gateway, "one")
    grow_older(gateway, job, 500)
    for branch in Branch:
        gateway.jobs.leases.of(job, branch).begin(90)
    sweep_jobs(gateway)
    assert document(gateway, job).state == "running"
    redis = gateway.jobs.redis
    redis.zadd(WORKING, {f"{job} rppg": 0})
    sweep_jobs(gateway)
    assert errors(document(gateway, job)) == {"vision": None, "rppg": "branch_timeout"}
    # The vision branch has not reached its limit.
    assert document(gateway, job).branches.vision.status is BranchStatus.RUNNING


def test_a_lost_try_is_queued_first_with_a_new_waiting_time(gateway: Gateway) -> None:
    jobs = gateway.jobs
    job = made(gateway, "one")
    made(gateway, "two")
    for branch in Branch:
        jobs.redis.rpop(f"fvq:{branch}")
        jobs.leases.of(job, branch).begin(90)
    grow_older(gateway, job, 10_000)
    jobs.leases.of(job, Branch.RPPG).expire()
    put_card(jobs.redis, card("vision", "rppg"))
    sweep_jobs(gateway)
    sweep_jobs(gateway)
    assert oldest_s(jobs.redis, Branch.RPPG) >= 0
    assert jobs.redis.llen("fvq:rppg") == 2
    assert document(gateway, job).branches.rppg.status is BranchStatus.PENDING
    assert '"facevitals.rppg", "id": "one.rppg"' in jobs.redis.lindex("fvq:rppg", -1)
    assert jobs.leases.of(job, Branch.RPPG).begin(90) == "go"


def test_lost_messages_are_queued_again_once_in_order_of_age(gateway: Gateway) -> None:
    redis = gateway.jobs.redis
    jobs = [made(gateway, str(number)) for number in range(5)]
    for number, job in enumerate(jobs):
        grow_older(gateway, job, 50 - number)
    redis.delete("fvq:rppg")
    sweep_jobs(gateway)
    assert [job_of(text) for text in reversed(redis.lrange("fvq:rppg", 0, -1))] == jobs
    # Simulates ten seconds without a worker.
    for job in jobs:
        redis.hincrbyfloat(record_key(job), "again:rppg", -STRANDED_S - 1)
    sweep_jobs(gateway)
    assert redis.llen("fvq:rppg") == len(jobs)


def test_the_sweep_removes_entries_of_jobs_that_are_gone(gateway: Gateway) -> None:
    redis, job = gateway.jobs.redis, made(gateway, "ended")
    for branch in Branch:
        gateway.jobs.leases.of(job, branch).begin(90)
    # As an earlier release ends a job.
    redis.hset(record_key(job), "state", "cancelled")
    redis.zadd(WORKING, {f"{job} rppg": 0, "gone rppg": 0})
    redis.zadd(waiting_key(Branch.VISION), {"gone": 0})
    sweep_jobs(gateway)
    assert redis.zscore(WORKING, f"{job} rppg") is None
    assert redis.zscore(WORKING, "gone rppg") is None
    assert redis.zscore(waiting_key(Branch.VISION), "gone") is None


def test_the_rate_of_work_is_measured_and_a_stalled_queue_raises_the_wait(gateway: Gateway) -> None:
    jobs = gateway.jobs
    put_card(jobs.redis, card("rppg"))
    assert queue_loads(jobs.redis)[Branch.RPPG].seconds_each == ASSUMED_WORK_S
    jobs.redis.hset(PACE, "work:rppg", 2)
    jobs.redis.expire(PACE, 600)
    made(gateway, "one")
    assert queue_loads(jobs.redis)[Branch.RPPG] == QueueLoad(1, 2)
    grow_older(gateway, "one", 100)
    assert queue_loads(jobs.redis)[Branch.RPPG].seconds_each >= 100


def test_a_stalled_queue_refuses_uploads_with_a_retry_after_within_the_wait(gateway: Gateway) -> None:
    for number in range(60):
        grow_older(gateway, made(gateway, str(number)), 60)
    with pytest.raises(QueueFull) as refused:
        asyncio.run(gateway.queue_limit.check(Branch))
    assert 1 <= int(refused.value.headers["Retry-After"]) <= gateway.settings.wait_limit_s


def test_no_job_is_created_beyond_the_limit_of_waiting_jobs(gateway: Gateway) -> None:
    for number in range(3):
        made(gateway, str(number))
    jobs, few = gateway.jobs, {Branch.RPPG: 3}

    def create(branch: Branch) -> JobDocument | None:
        options = JobOptions()
        return jobs.submissions.create(
            "x", [branch], options, owner="-", clip_key="clips/x", deadline_s=60, max_waiting=few
        )

    assert create(Branch.RPPG) is None
    assert jobs.records.document("x") is None
    assert create(Branch.VISION) is not None


def test_each_clip_of_a_burst_is_analysed_or_refused_with_a_valid_retry_after(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(max_wait_s=20, job_deadline_s=20, clip_ttl_s=600)
    service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_VISION="brief", FAULT_RPPG="brief")
    for _ in range(3):
        service.finished(service.submit())

    def send(_: int) -> httpx.Response:
        with service.client() as client:
            return client.post("/v1/jobs", content=LOOKS_LIKE_MP4)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(80)))
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(accepted) + len(refused) == len(answers)
    assert len(accepted) >= 5
    assert refused
    assert {answer.json()["type"] for answer in refused} == {"urn:facevitals:problem:queue-full"}
    # Their times differ.
    waits = sorted(int(answer.headers["retry-after"]) for answer in refused)
    assert waits[0] >= 1
    assert waits[-1] <= 60
    time.sleep(min(waits[0] + 1, 20))
    assert send(0).status_code == 202
    for job in accepted:
        assert service.finished(job)["state"] == "succeeded"
    assert len(service.clips) == 0 or service.finished(accepted[-1])
