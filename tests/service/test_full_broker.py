"""A broker at its `maxmemory` refuses new jobs and loses no accepted one."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from api.queue_limit import REFUSAL_S
from api.sweep import sweep_jobs
from facevitals.local.broker import Broker
from shared.jobs.celery_messages import message
from shared.jobs.connection import connect
from shared.jobs.keys import DEADLINES, ERASE, LEASES, READY, WORKING, record_key
from shared.jobs.queues import make_celery
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.conftest import LOOKS_LIKE_MP4, Service, gateway_in_process, wait_until

FAULTY_WORKER = "tests.service.faulty_worker"
MakeService = Callable[..., Service]


@contextmanager
def full(broker: Broker) -> Iterator[None]:
    """Set the limit of the broker below the memory that it uses."""
    redis = connect(broker.url)
    redis.config_set("maxmemory", "1mb")
    yield
    redis.config_set("maxmemory", "0")
    redis.close()


def metric(service: Service, name: str) -> float:
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return float(next(line.rpartition(" ")[2] for line in lines if line.startswith(name)))


def test_a_full_broker_finishes_accepted_jobs_and_refuses_new_ones(make_service: MakeService) -> None:
    service = make_service()
    hold = service.folder / "hold"
    hold.touch()
    worker = service.start_worker("vision,rppg", FAULTY_WORKER, FAULT_VISION="held")
    job = service.submit()
    waiting = service.submit()
    wait_until((service.folder / "tries-vision").exists, "the work has begun")
    with full(service.broker), service.client() as client:
        refused = client.post("/v1/jobs", content=LOOKS_LIKE_MP4)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:facevitals:problem:broker-full")
        assert int(refused.headers["retry-after"]) > 0
        older = client.post("/save_video", content=LOOKS_LIKE_MP4)
        assert (older.status_code, older.json()["success"]) == (503, False)
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["broker"]) == (503, "full")
        assert client.get(f"/v1/jobs/{job}").json()["state"] == "running"
        assert metric(service, "facevitals_broker_memory_max_bytes") == 1 << 20
        assert metric(service, "facevitals_broker_memory_used_bytes") > 1 << 20
        hold.unlink()
        for each in (job, waiting):
            assert service.finished(each)["branches"]["vision"]["status"] == "ok"
        wait_until(lambda: not service.clips, "clips are erased")
        # A worker's card expires after 15 s unless it is renewed.
        assert ready.json()["workers"] == {"vision": 1, "rppg": 1}
    assert service.finished(service.submit())["state"] == "succeeded"
    assert worker.process.poll() is None
    assert "Unrecoverable" not in service.whole_logs()
    refusals = [line for line in service.whole_logs().splitlines() if "not ready for the broker" in line]
    assert len(refusals) <= 1, "one line a minute"


def test_a_worker_started_with_a_full_broker_waits_for_it(make_service: MakeService) -> None:
    service = make_service()
    job = service.submit()
    with full(service.broker):
        worker = service.start_worker("vision,rppg", FAULTY_WORKER, wait=False)
        wait_until(
            lambda: "waits for the broker" in service.whole_logs() or worker.process.poll() is not None,
            "the worker waits",
        )
        assert worker.process.poll() is None
    assert service.finished(job)["state"] == "succeeded"


def test_uploads_are_refused_before_memory_is_full(make_service: MakeService) -> None:
    service = make_service()
    # The remaining seven per cent are enough for the connections.
    service.redis.set("fv:ballast", "x" * 50_000_000, ex=600)
    used = int(service.redis.info("memory")["used_memory"])
    service.redis.config_set("maxmemory", int(used / 0.93))
    with service.client() as client:
        refused = client.post("/v1/jobs", content=LOOKS_LIKE_MP4)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:facevitals:problem:broker-full")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["broker"]) == (200, "short_of_memory")
        service.redis.config_set("maxmemory", used * 3)
        time.sleep(REFUSAL_S)
        assert client.post("/v1/jobs", content=LOOKS_LIKE_MP4).status_code == 202
    assert len(service.clips) == 1


def test_the_sweep_erases_clips_and_requeues_tries_while_the_broker_is_full(broker: Broker, tmp_path: Path) -> None:
    gateway = gateway_in_process(Settings(redis_url=broker.url, data_dir=tmp_path, job_deadline_s=60))
    jobs, redis = gateway.jobs, gateway.jobs.redis
    (tmp_path / "clips" / "clips").mkdir(parents=True)
    clip = tmp_path / "clips" / "clips" / "ended"
    clip.write_bytes(b"a face")
    redis.zadd(ERASE, {"clips/ended": 0})
    redis.expire(ERASE, 60)
    jobs.submissions.create("lost", list(Branch), JobOptions(), owner="-", clip_key="clips/lost", deadline_s=600)
    redis.rpop("fvq:rppg")
    jobs.leases.of("lost", Branch.RPPG).begin(60)
    jobs.leases.of("lost", Branch.RPPG).expire()
    with full(broker):
        sweep_jobs(gateway)
        assert not clip.exists()
        assert redis.llen("fvq:rppg") == 1, "the lost try is queued again"


def test_messages_are_acknowledged_without_transactions(broker: Broker) -> None:
    # A full Redis 7.0 refuses every command in a MULTI, also those that free memory. Valkey does not.
    redis = connect(broker.url)
    redis.lpush("fvq:rppg", message(Branch.RPPG, "one"))
    with make_celery(Settings(redis_url=broker.url)).connection_for_read() as connection:
        queue = connection.SimpleQueue("rppg")
        # Declaring the queue is a write that the broker may refuse.
        redis.config_resetstat()
        assert connection.default_channel._size("rppg") == 1
        queue.get(timeout=5).ack()
        assert not redis.hlen("fvq:unacked")
        assert "cmdstat_multi" not in redis.info("commandstats")


def test_an_unreadable_record_does_not_stop_the_sweep(broker: Broker, tmp_path: Path) -> None:
    gateway = gateway_in_process(Settings(redis_url=broker.url, data_dir=tmp_path))
    jobs, redis = gateway.jobs, gateway.jobs.redis
    later_release = {
        "state": "running",
        "branches": "voice",
        "created": 1,
        "options": "{}",
        "owner": "-",
        "clip_key": "x",
    }
    redis.hset(record_key("a"), mapping=later_release)
    for key in (DEADLINES, LEASES, READY, WORKING):
        redis.zadd(key, {"a voice" if key in {LEASES, WORKING} else "a": 0})
    for job in ("lost", "over"):
        jobs.submissions.create(job, list(Branch), JobOptions(), owner="-", clip_key=f"clips/{job}", deadline_s=600)
    jobs.leases.of("lost", Branch.RPPG).begin(60)
    jobs.leases.of("lost", Branch.RPPG).expire()
    redis.zadd(DEADLINES, {"over": 1})
    sweep_jobs(gateway)
    assert redis.hget(record_key("lost"), "status:rppg") == "pending", "it is tried again"
    assert not jobs.records.is_unfinished("over")


def test_a_failed_step_does_not_stop_the_rest_of_the_sweep(broker: Broker, tmp_path: Path) -> None:
    gateway = gateway_in_process(Settings(redis_url=broker.url, data_dir=tmp_path, job_deadline_s=60))
    jobs, redis = gateway.jobs, gateway.jobs.redis
    jobs.submissions.create("over", list(Branch), JobOptions(), owner="-", clip_key="clips/over", deadline_s=0)
    # Keys of a wrong type: every command on them is an error.
    for key in ("fv:leases", "fv:waiting:vision", "fv:ready", ERASE):
        redis.delete(key)
        redis.set(key, os.urandom(4).hex(), ex=60)
    redis.delete("fv:waiting:rppg")
    sweep_jobs(gateway)
    redis.delete("fv:leases", "fv:waiting:vision", "fv:ready", ERASE)
    sweep_jobs(gateway)
    document = jobs.records.document("over")
    assert document is not None
    assert document.state == "failed"
