"""Old and new releases side by side: no job is lost, whichever release queues, runs or assembles it."""

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from facevitals.local.broker import start_broker
from shared.jobs.job_store import JobStore
from shared.jobs.keys import DEADLINES
from shared.jobs.queues import QUEUES, TASKS, make_celery
from shared.schemas import BranchOutcome, BranchStatus
from shared.settings import Settings
from shared.vitals import Branch
from tests.service.conftest import Service

FAULTY_WORKER, NEXT_RELEASE_WORKER = "tests.service.faulty_worker", "tests.service.next_release_worker"


def test_no_job_is_lost_while_workers_are_upgraded_and_downgraded(
    make_service: Callable[..., Service],
) -> None:
    service = make_service()
    old = service.start_worker("vision,rppg", FAULTY_WORKER)
    jobs: list[str] = []
    enough = threading.Event()

    def submit() -> None:
        while not enough.is_set():
            jobs.append(service.submit())
            time.sleep(0.3)

    sender = threading.Thread(target=submit)
    sender.start()
    new = service.start_worker("vision,rppg", NEXT_RELEASE_WORKER)
    time.sleep(1)
    old.process.send_signal(signal.SIGTERM)
    assert old.process.wait(60) == 0
    time.sleep(1)
    # A downgrade has to work as well.
    service.start_worker("vision,rppg", FAULTY_WORKER)
    new.process.send_signal(signal.SIGTERM)
    assert new.process.wait(60) == 0
    enough.set()
    sender.join()
    documents = [service.finished(job) for job in jobs]
    assert len(documents) > 10
    assert {branch["status"] for document in documents for branch in document["branches"].values()} == {"ok"}
    assert "deadline passed" not in service.logs()
    # Each branch ran once.
    assert (service.folder / "tries-rppg").stat().st_size == len(jobs)


def test_jobs_of_the_first_release_are_run_by_this_one(make_service: Callable[..., Service]) -> None:
    service = make_service()
    clip = service.folder / "clips" / "clips" / "01M8MMS98NWBKQ0PWN8B4CRYVX"
    clip.parent.mkdir(parents=True, exist_ok=True)
    clip.write_bytes(b"a clip")
    redis = service.redis
    redis.hset(
        "fv:job:01M8MMS98NWBKQ0PWN8B4CRYVX",
        mapping={
            "state": "queued",
            "branches": "vision rppg",
            "deadline": time.time() + 60,
            "created_at": "2026-01-01T00:00:00+00:00",
            "options": '{"vitals":null,"retain_clip":false}',
            "owner": "-",
            "clip_key": "clips/01M8MMS98NWBKQ0PWN8B4CRYVX",
        },
    )
    redis.expire("fv:job:01M8MMS98NWBKQ0PWN8B4CRYVX", 600)
    redis.zadd(DEADLINES, {"01M8MMS98NWBKQ0PWN8B4CRYVX": time.time() + 60})
    redis.expire(DEADLINES, 600)
    celery = make_celery(Settings(redis_url=service.broker.url))
    for branch in Branch:
        celery.send_task(TASKS[branch], args=["01M8MMS98NWBKQ0PWN8B4CRYVX"], queue=QUEUES[branch])
    celery.close()
    service.start_worker("vision,rppg", FAULTY_WORKER)
    document = service.finished("01M8MMS98NWBKQ0PWN8B4CRYVX")
    assert {branch["status"] for branch in document["branches"].values()} == {"ok"}
    assert not clip.exists()


def test_a_record_of_the_next_release_is_read_or_ends_as_failed(tmp_path: Path) -> None:
    broker = start_broker(tmp_path)
    try:
        jobs = JobStore.connect(broker.url, 600)
        redis = jobs.redis
        outcome = json.loads(BranchOutcome(status=BranchStatus.OK, elapsed_ms=1).model_dump_json())
        redis.hset(
            "fv:job:01NEW",
            mapping={
                "state": "running",
                "branches": "vision rppg",
                "created_at": "2026-01-01T00:00:00+00:00",
                "options": '{"vitals":null,"retain_clip":false,"language":"eo"}',
                "owner": "-",
                "clip_key": "clips/01NEW",
                "region": "north",
                "outcome:vision": json.dumps({**outcome, "mood": "fine"}),
                "outcome:rppg": json.dumps({**outcome, "status": "ok-ish"}),
            },
        )
        request = jobs.records.request("01NEW")
        assert request is not None
        assert request.options.vitals is None
        assert jobs.completion.finish("01NEW") == "clips/01NEW"
        document = jobs.records.document("01NEW")
        assert document is not None
        assert document.branches.vision.status is BranchStatus.OK
        assert document.branches.rppg.error is not None
        assert "another release" in document.branches.rppg.error.detail
    finally:
        broker.child.stop(3)
