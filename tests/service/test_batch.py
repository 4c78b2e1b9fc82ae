"""Batch jobs wait behind interactive ones, for hours if need be; a burst of them is accepted whole."""

import asyncio
import concurrent.futures
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.dependencies import Gateway
from api.problems import BrokerFull, QueueFull
from api.sweep import sweep_jobs, sweep_store
from facevitals.client import Client
from facevitals.local.broker import Broker
from shared.access.api_keys import KeyRing
from shared.jobs.celery_messages import job_of, message, queue_key
from shared.jobs.keys import BATCH, BATCH_BYTES, DEADLINES, PACE, Key, active_key, record_key, waiting_key
from shared.jobs.overdue import STRANDED_S
from shared.jobs.queues import ALL_QUEUES, InteractiveFirst, queue_name
from shared.jobs.waiting import queue_loads
from shared.jobs.worker_registry import WorkerCard, put_card
from shared.schemas import BranchOutcome, BranchStatus, JobDocument, JobOptions, Priority
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, gateway_in_process, wait_until

MakeService = Callable[..., Service]
FAULTY_WORKER = "tests.service.faulty_worker"
#: One worker for everything, as `facevitals worker` starts it.
ALL = ",".join(ALL_QUEUES)
VITALS_OF_ONE_BRANCH = "age"


@pytest.fixture
def gateway(broker: Broker, tmp_path: Path) -> Gateway:
    return gateway_in_process(
        Settings(redis_url=broker.url, data_dir=tmp_path, max_queued=3, batch_wait_s=3600, max_batch_mb=1)
    )


def made(gateway: Gateway, job_id: str, priority: Priority = Priority.BATCH, clip_bytes: int = 10) -> JobDocument:
    return gateway.accept(job_id, JobOptions(priority=priority), "key:me", clip_bytes=clip_bytes)


def document(gateway: Gateway, job_id: str) -> JobDocument:
    found = gateway.records.document(job_id)
    assert found is not None
    return found


def grow_older(gateway: Gateway, job_id: str, seconds: float) -> None:
    for branch in Branch:
        key = waiting_key(branch, Priority.BATCH)
        gateway.jobs.redis.execute_command("ZADD", key, "XX", "INCR", -seconds, job_id)


def card(*queues: str, name: str = "one") -> WorkerCard:
    return WorkerCard(id=name, queues=list(queues), device="cpu", models=[])


def begun_order(service: Service, jobs: list[str]) -> list[str]:
    """The jobs in the order in which a worker began their vision branch."""
    begun = {job: float(service.jobs.redis.hget(record_key(job), "begun:vision") or "inf") for job in jobs}
    return sorted(jobs, key=begun.__getitem__)


def send(service: Service, _: int = 0, **params: str) -> httpx.Response:
    with service.client() as client:
        return client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params=params)


def test_a_burst_of_batch_jobs_is_accepted_and_interactive_jobs_overtake_it(make_service: MakeService) -> None:
    # An interactive job is refused from an expected wait of 30 s on, and ends as `queue_timeout` after 60 s.
    service = make_service(max_wait_s=30)
    hold = service.folder / "hold"
    hold.touch()
    service.start_worker(ALL, FAULTY_WORKER, FAULT_VISION="held", FAULT_RPPG="held")
    first = send(service).json()["id"]
    wait_until(lambda: service.document(first)["state"] == "running", "the worker is busy")

    def send_batch(number: int) -> httpx.Response:
        return send(service, number, priority="batch", vitals=VITALS_OF_ONE_BRANCH)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send_batch, range(40)))
    assert {answer.status_code for answer in answers} == {202}
    assert all(answer.json()["expected_wait_s"] is not None for answer in answers)
    batch = [answer.json()["id"] for answer in answers]
    interactive = [send(service, vitals=VITALS_OF_ONE_BRANCH) for _ in range(2)]
    # Interactive jobs wait for those before them alone.
    assert [answer.status_code for answer in interactive] == [202, 202]
    assert all(answer.json()["expected_wait_s"] <= 10 for answer in interactive)
    # Simulates ten minutes; the sweep runs every second.
    for job, branch in itertools.product(batch, Branch):
        service.jobs.redis.execute_command("ZADD", waiting_key(branch, Priority.BATCH), "XX", "INCR", -600, job)
    time.sleep(3)
    overtaking = [answer.json()["id"] for answer in interactive]
    hold.unlink()
    for job in (*overtaking, *batch):
        assert service.finished(job)["branches"]["vision"]["status"] == "ok"
    assert set(begun_order(service, [*batch, *overtaking])[:2]) == set(overtaking)
    assert not service.clips
    assert service.redis.zcard(BATCH) == 0
    assert service.redis.hgetall(BATCH_BYTES) == {"total": "0"}


def test_interactive_jobs_overtake_in_the_middle_of_a_batch(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker(ALL, FAULTY_WORKER, FAULT_VISION="brief", FAULT_RPPG="brief")
    service.finished(service.submit())
    batch = [service.submit(priority="batch") for _ in range(12)]
    wait_until(lambda: service.document(batch[1])["state"] == "succeeded", "some of the batch are done")
    overtaking = [service.submit() for _ in range(4)]
    before = sum(service.document(job)["state"] != "queued" for job in batch)
    for job in (*overtaking, *batch):
        assert service.finished(job)["state"] == "succeeded"
    order = begun_order(service, [*batch, *overtaking])
    # Those that had been begun when they came, and one that the worker took meanwhile.
    assert max(map(order.index, overtaking)) <= before + len(overtaking)


def test_workers_can_be_kept_for_one_priority(make_service: MakeService) -> None:
    service = make_service()
    service.start_worker("vision,rppg", FAULTY_WORKER)
    waiting, quick = service.submit(priority="batch"), service.submit()
    assert service.finished(quick)["state"] == "succeeded"
    assert service.document(waiting)["state"] == "queued"
    assert service.document(waiting)["expected_wait_s"] is None, "no worker takes batch jobs"
    service.start_worker(",".join(queue_name(branch, Priority.BATCH) for branch in Branch), FAULTY_WORKER)
    assert service.finished(waiting)["state"] == "succeeded"


def test_a_batch_job_that_is_deleted_while_it_waits_leaves_nothing(make_service: MakeService) -> None:
    service = make_service(encrypt_clips=True)
    with Client(service.url) as client:
        clip = service.folder / "clip.mp4"
        clip.write_bytes(LOOKS_LIKE_MP4)
        job, other = (client.submit(clip, priority="batch") for _ in range(2))
        assert len(service.clips) == 2
        assert service.redis.hget(BATCH_BYTES, "total") == str(2 * len(LOOKS_LIKE_MP4))
        client.delete(job)
        assert len(service.clips) == 1
        assert service.redis.hget(BATCH_BYTES, "total") == str(len(LOOKS_LIKE_MP4))
        for branch in Branch:
            waiting = service.jobs.redis.lrange(queue_key(branch, Priority.BATCH), 0, -1)
            assert [job_of(text) for text in waiting] == [other]
        assert not [key for key in service.redis.scan_iter() if job in key]


def test_a_parameter_that_is_no_priority_is_refused(make_service: MakeService) -> None:
    service = make_service()
    answer = send(service, priority="urgent")
    assert answer.status_code == 422
    assert "interactive, batch" in answer.json()["detail"]
    with service.client() as client:
        in_form = client.post("/v1/jobs", files={"clip": LOOKS_LIKE_MP4}, data={"priority": "batch"})
        in_query = client.post("/v1/jobs", files={"clip": LOOKS_LIKE_MP4}, params={"priority": "batch"})
    # It is decided before the form is read.
    assert in_form.status_code == 422
    assert in_query.status_code == 202


def test_batch_jobs_of_a_key_have_a_limit_of_their_own(make_service: MakeService) -> None:
    service = make_service(require_keys=True, key_rate_per_min=2, key_max_active=1, key_max_batch=4)
    ring = KeyRing(service.redis)
    key, kiosk = ring.create("study").key, ring.create("kiosk", max_active=1).key

    def sent(key: str, **params: str) -> httpx.Response:
        with service.client() as client:
            return client.post("/v1/jobs", content=LOOKS_LIKE_MP4, params=params, headers={"X-API-Key": key})

    assert [sent(key, priority="batch").status_code for _ in range(4)] == [202] * 4
    refused = sent(key, priority="batch")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:facevitals:problem:too-many-active")
    assert "4 unfinished batch jobs" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0
    # Neither counts towards the other.
    assert sent(key).status_code == 202
    assert [sent(kiosk, priority="batch").status_code for _ in range(2)] == [202, 429]


def test_batch_jobs_count_towards_the_size_of_their_clips_alone(gateway: Gateway) -> None:
    for number in range(8):
        made(gateway, f"b{number}", clip_bytes=120_000)
    with pytest.raises(QueueFull, match="may take 1 MB"):
        made(gateway, "too much", clip_bytes=120_000)
    assert gateway.records.document("too much") is None
    asyncio.run(gateway.queue_limit.check(Branch))
    for number in range(3):
        made(gateway, f"i{number}", Priority.INTERACTIVE)
    with pytest.raises(QueueFull):
        made(gateway, "fourth", Priority.INTERACTIVE)
    gateway.records.delete("b0")
    made(gateway, "room again", clip_bytes=120_000)
    assert gateway.records.batch() == (8, 8 * 120_000)


def test_an_upload_of_a_batch_job_is_refused_before_its_body_is_read(gateway: Gateway) -> None:
    made(gateway, "all of it", clip_bytes=1_000_000)
    with pytest.raises(QueueFull) as refused:
        asyncio.run(gateway.queue_limit.check(Branch, Priority.BATCH))
    assert int(refused.value.headers["Retry-After"]) > 0


def test_batch_jobs_leave_memory_of_the_broker_to_interactive_ones(gateway: Gateway) -> None:
    redis = gateway.jobs.redis
    # So much that buffers of connections do not matter.
    redis.set("fv:ballast", "x" * 20_000_000, ex=600)
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / 0.82))
    with pytest.raises(BrokerFull):
        asyncio.run(gateway.queue_limit.check(Branch, Priority.BATCH))
    asyncio.run(gateway.queue_limit.check(Branch))
    redis.config_set("maxmemory", 0)


def test_a_batch_job_waits_for_hours_and_then_ends_with_the_reason(gateway: Gateway) -> None:
    made(gateway, "one")
    made(gateway, "two")
    # Longer than an interactive job may wait, without any worker.
    grow_older(gateway, "one", 3500)
    sweep_jobs(gateway)
    assert document(gateway, "one").state == "queued"
    assert not gateway.jobs.overdue.past_deadline()
    grow_older(gateway, "one", 101)
    sweep_jobs(gateway)
    ended = document(gateway, "one")
    assert {report.error.code for report in ended.branches.by_name().values() if report.error} == {"queue_timeout"}
    assert ended.error is not None
    assert "3600 s" in ended.error.detail
    assert {vital.reason for vital in ended.vitals.by_name().values()} == {"queue_timeout"}
    assert document(gateway, "two").state == "queued"
    for branch in Branch:
        waiting = gateway.jobs.redis.lrange(queue_key(branch, Priority.BATCH), 0, -1)
        assert [job_of(text) for text in waiting] == ["two"]
    assert gateway.records.batch().jobs == 1


def test_the_work_on_a_batch_job_has_a_clock_of_its_own(gateway: Gateway) -> None:
    made(gateway, "one")
    grow_older(gateway, "one", 3500)
    assert gateway.jobs.leases.of("one", Branch.RPPG).begin(90) == "go"
    grow_older(gateway, "one", 3500)
    sweep_jobs(gateway)
    reports = document(gateway, "one").branches
    assert reports.rppg.status is BranchStatus.RUNNING
    assert reports.vision.error is not None
    assert gateway.jobs.outcomes.write("one", Branch.RPPG, BranchOutcome(status=BranchStatus.OK, elapsed_ms=1))[0]


def test_what_a_waiting_batch_job_needs_outlives_shorter_jobs(gateway: Gateway) -> None:
    made(gateway, "long")
    # As another setting of a gateway makes them, or a release without batch jobs.
    gateway.jobs.submissions.create(
        "short", list(Branch), JobOptions(), owner="key:me", clip_key="clips/short", deadline_s=5
    )
    needed = [record_key("long"), DEADLINES, BATCH, BATCH_BYTES, active_key("key:me", Priority.BATCH)]
    needed += [waiting_key(branch, Priority.BATCH) for branch in Branch]
    for key in needed:
        assert gateway.jobs.redis.ttl(key) >= 3600, key


def test_a_lost_try_and_a_lost_message_wait_in_the_queue_of_their_priority(gateway: Gateway) -> None:
    redis = gateway.jobs.redis
    for job in ("one", "two", "three"):
        made(gateway, job)
    queue = queue_key(Branch.RPPG, Priority.BATCH)
    redis.rpop(queue)
    gateway.jobs.leases.of("one", Branch.RPPG).begin(90)
    gateway.jobs.leases.of("one", Branch.RPPG).expire()
    sweep_jobs(gateway)
    assert job_of(redis.lindex(queue, -1)) == "one"
    assert redis.llen(queue_key(Branch.RPPG)) == 0
    # A worker took it and died before it began.
    redis.lrem(queue, 1, message(Branch.RPPG, "two", Priority.BATCH))
    for job in ("one", "two"):
        grow_older(gateway, job, STRANDED_S + 100)
    redis.lrem(queue, 1, message(Branch.RPPG, "one", Priority.BATCH))
    sweep_jobs(gateway)
    assert [job_of(text) for text in reversed(redis.lrange(queue, 0, -1))] == ["two", "three"]
    assert redis.llen(queue_key(Branch.RPPG)) == 0


def test_messages_of_others_at_the_head_of_a_batch_queue_make_no_job_lost(gateway: Gateway) -> None:
    redis, queue = gateway.jobs.redis, queue_key(Branch.VISION, Priority.BATCH)
    for number in range(30):
        redis.lpush(queue, message(Branch.VISION, f"gone{number}", Priority.BATCH))
    made(gateway, "one")
    grow_older(gateway, "one", 1000)
    sweep_jobs(gateway)
    assert redis.llen(queue) == 31


def test_a_retained_clip_of_a_batch_job_is_kept_after_its_end(gateway: Gateway, tmp_path: Path) -> None:
    gateway.accept("one", JobOptions(priority=Priority.BATCH, retain_clip=True), "key:me")
    path = tmp_path / "clips" / gateway.store.key("one")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(LOOKS_LIKE_MP4)
    os.utime(path, (0, 0))
    sweep_store(gateway)
    assert path.exists(), "the job waits"
    gateway.jobs.outcomes.time_out("one")
    sweep_store(gateway)
    assert path.exists(), "its lifetime begins with the end of the job"
    gateway.jobs.redis.hset(record_key("one"), "finished_at", "2020-01-01T00:00:00+00:00")
    sweep_store(gateway)
    assert not path.exists()


def test_the_wait_of_a_batch_job_includes_that_of_interactive_ones(gateway: Gateway) -> None:
    redis = gateway.jobs.redis
    redis.hset(PACE, mapping={f"work:{branch}": 2.0 for branch in Branch})
    redis.expire(PACE, 600)
    made(gateway, "b1")
    made(gateway, "b2")
    made(gateway, "i1", Priority.INTERACTIVE)
    put_card(redis, card(*ALL_QUEUES))
    limit = gateway.queue_limit
    assert asyncio.run(limit.expected_wait_s("i1")) == 0
    # Four seconds of the interactive job, and four of the batch job before it.
    assert asyncio.run(limit.expected_wait_s("b2")) == 8
    assert queue_loads(redis, Priority.BATCH)[Branch.RPPG].expected_wait_s == 12
    put_card(redis, card(*(queue_name(branch, Priority.BATCH) for branch in Branch), name="two"))
    # A worker that takes no other jobs comes to them at once.
    assert queue_loads(redis, Priority.BATCH)[Branch.RPPG].expected_wait_s == 4


def test_a_worker_looks_into_batch_queues_after_all_others() -> None:
    made_by: Any = InteractiveFirst
    order = made_by(["rppg.batch", "vision", "rppg", "vision.batch"])
    assert order.consume(4) == ["vision", "rppg", "rppg.batch", "vision.batch"]
    order.rotate("vision")
    order.rotate("rppg.batch")
    assert order.consume(4) == ["rppg", "vision", "vision.batch", "rppg.batch"]


def test_a_batch_message_is_read_by_its_queue(gateway: Gateway) -> None:
    made(gateway, "one")
    text = gateway.jobs.redis.lindex(queue_key(Branch.VISION, Priority.BATCH), 0)
    envelope: dict[str, Any] = json.loads(text)
    # A message that its worker gives back returns to this queue.
    assert envelope["properties"]["delivery_info"] == {"exchange": "", "routing_key": "vision.batch"}
    assert queue_key(Branch.VISION, Priority.BATCH) == Key("fvq:vision.batch")


def test_metrics_have_batch_queues_of_their_own(make_service: MakeService) -> None:
    service = make_service()
    service.submit(priority="batch")
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
        assert client.get("/readyz").json()["workers"] == {"vision": 0, "rppg": 0}
    assert 'facevitals_queue_waiting{queue="vision.batch"} 1.0' in lines
    assert 'facevitals_queue_waiting{queue="vision"} 0.0' in lines
    assert 'facevitals_workers{queue="rppg.batch"} 0.0' in lines
    assert "facevitals_batch_jobs_active 1.0" in lines
    assert f"facevitals_batch_clip_bytes {float(len(LOOKS_LIKE_MP4))}" in lines
