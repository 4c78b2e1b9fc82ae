"""A job and its messages reach the broker together, and the messages are what Celery itself would send."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facevitals.broker import Broker, start_broker
from shared.messages import message, queue_key
from shared.queues import QUEUES, TASKS, make_celery
from shared.records import JobRecords, connect
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

OPTIONS = JobOptions()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = start_broker(tmp_path)
    yield broker
    broker.child.stop(3)


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
    expires = dt.datetime(2040, 1, 1, tzinfo=dt.UTC)
    for branch in Branch:
        celery.send_task(TASKS[branch], args=["job"], queue=QUEUES[branch], task_id=f"job.{branch}", expires=expires)
        theirs: dict[str, Any] = json.loads(records.redis.lrange(queue_key(branch), 0, -1)[0])
        ours: dict[str, Any] = json.loads(message(branch, "job", expires))
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
