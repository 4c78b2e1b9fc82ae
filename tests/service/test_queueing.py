"""A job and its messages reach the broker together, and the messages are what Celery itself would send."""

import json
from pathlib import Path
from typing import Any

import pytest

from facevitals.local.broker import Broker
from shared.jobs.celery_messages import job_of, message, queue_key
from shared.jobs.queues import QUEUES, TASKS, make_celery
from shared.jobs.records import STRANDED_S, WAITING, JobRecords, connect
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

OPTIONS = JobOptions()


@pytest.fixture
def records(broker: Broker) -> JobRecords:
    return JobRecords(connect(broker.url), 600)


def create(records: JobRecords, job_id: str, most_active: int | None = None) -> bool:
    made = records.create(
        job_id,
        list(Branch),
        OPTIONS,
        owner="-",
        clip_key=f"clips/{job_id}",
        deadline_s=60,
        most_active=most_active,
    )
    return made is not None


def test_a_message_is_what_celery_sends(broker: Broker, records: JobRecords, tmp_path: Path) -> None:
    celery = make_celery(Settings(redis_url=broker.url, data_dir=tmp_path))
    for branch in Branch:
        celery.send_task(TASKS[branch], args=["job"], queue=QUEUES[branch], task_id=f"job.{branch}")
        theirs: dict[str, Any] = json.loads(records.redis.lrange(queue_key(branch), 0, -1)[0])
        ours: dict[str, Any] = json.loads(message(branch, "job"))
        assert ours.keys() == theirs.keys()
        for part in ("body", "content-encoding", "content-type"):
            assert ours[part] == theirs[part]
        # What Celery adds says who sent it, or is empty.
        extra = {"shadow", "group_index", "origin", "replaced_task_nesting", "stamped_headers", "stamps"}
        assert ours["headers"].keys() == theirs["headers"].keys() - extra
        told = {name: value for name, value in theirs["headers"].items() if name not in {*extra, "ignore_result"}}
        assert {**ours["headers"], **told} == ours["headers"]
        assert ours["properties"].keys() == theirs["properties"].keys() - {"expiration"}
        for part in ("delivery_mode", "delivery_info", "priority", "body_encoding", "correlation_id"):
            assert ours["properties"][part] == theirs["properties"][part]
    celery.close()


def test_a_job_is_queued_as_it_is_made(records: JobRecords) -> None:
    assert create(records, "one")
    for branch in Branch:
        assert records.redis.llen(queue_key(branch)) == 1


def test_no_more_jobs_than_may_wait_are_made(records: JobRecords) -> None:
    assert create(records, "one", most_active=2)
    assert create(records, "two", most_active=2)
    assert not create(records, "three", most_active=2)
    assert records.document("three") is None
    assert records.active() == 2
    for branch in Branch:
        assert records.redis.llen(queue_key(branch)) == 2


def take(records: JobRecords, branch: Branch) -> None:
    """What a worker does that dies before it begins."""
    assert records.redis.rpop(queue_key(branch))


def grow_old(records: JobRecords, *job_ids: str) -> None:
    for job_id in job_ids:
        for branch in Branch:
            records.redis.execute_command("ZADD", WAITING + branch, "XX", "INCR", -STRANDED_S - 1, job_id)


def stranded(records: JobRecords) -> list[tuple[str, Branch]]:
    return [(job_id, branch) for branch in Branch for job_id in records.stranded(branch)]


def test_a_message_that_went_down_with_its_worker_is_missed(records: JobRecords) -> None:
    create(records, "01")
    take(records, Branch.RPPG)
    assert stranded(records) == [], "it may be about to begin"
    grow_old(records, "01")
    assert stranded(records) == [("01", Branch.RPPG)]
    assert stranded(records) == [], "another sweep has sent it again"


def test_messages_that_wait_or_that_were_begun_are_not_missed(records: JobRecords) -> None:
    for job_id in ("01", "02"):
        create(records, job_id)
    grow_old(records, "01", "02")
    take(records, Branch.VISION)
    assert records.begin("01", Branch.VISION, "token", 60) == "go"
    assert stranded(records) == []
    create(records, "03")
    for _ in range(2):
        take(records, Branch.RPPG)
    # What waits now is younger than what was taken.
    assert stranded(records) == [("01", Branch.RPPG), ("02", Branch.RPPG)]


def test_a_message_of_celery_tells_its_job_too(broker: Broker, records: JobRecords, tmp_path: Path) -> None:
    celery = make_celery(Settings(redis_url=broker.url, data_dir=tmp_path))
    celery.send_task(TASKS[Branch.RPPG], args=["01J"], queue=QUEUES[Branch.RPPG])
    celery.close()
    assert job_of(records.redis.lindex(queue_key(Branch.RPPG), -1)) == "01J"
    assert job_of(message(Branch.RPPG, "01J")) == "01J"
