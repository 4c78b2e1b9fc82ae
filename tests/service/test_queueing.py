"""A job and its messages are written together, and the messages equal those that Celery sends."""

import json
from pathlib import Path
from typing import Any

import pytest

from facevitals.local.broker import Broker
from shared.jobs.celery_messages import job_of, message, queue_key
from shared.jobs.job_store import JobStore
from shared.jobs.keys import waiting_key
from shared.jobs.overdue import STRANDED_S
from shared.jobs.queues import QUEUES, TASKS, make_celery
from shared.schemas import JobOptions
from shared.settings import Settings
from shared.vitals import Branch

OPTIONS = JobOptions()


@pytest.fixture
def jobs(broker: Broker) -> JobStore:
    return JobStore.connect(broker.url, 600)


def create(jobs: JobStore, job_id: str, max_active: int | None = None) -> bool:
    made = jobs.submissions.create(
        job_id,
        list(Branch),
        OPTIONS,
        owner="-",
        clip_key=f"clips/{job_id}",
        deadline_s=60,
        max_active=max_active,
    )
    return made is not None


def test_messages_equal_those_that_celery_sends(broker: Broker, jobs: JobStore, tmp_path: Path) -> None:
    celery = make_celery(Settings(redis_url=broker.url, data_dir=tmp_path))
    for branch in Branch:
        celery.send_task(TASKS[branch], args=["job"], queue=QUEUES[branch], task_id=f"job.{branch}")
        theirs: dict[str, Any] = json.loads(jobs.redis.lrange(queue_key(branch), 0, -1)[0])
        ours: dict[str, Any] = json.loads(message(branch, "job"))
        assert ours.keys() == theirs.keys()
        for part in ("body", "content-encoding", "content-type"):
            assert ours[part] == theirs[part]
        # Additional headers of Celery name the sender or are empty.
        extra = {"shadow", "group_index", "origin", "replaced_task_nesting", "stamped_headers", "stamps"}
        assert ours["headers"].keys() == theirs["headers"].keys() - extra
        shared_headers = {
            name: value for name, value in theirs["headers"].items() if name not in {*extra, "ignore_result"}
        }
        assert {**ours["headers"], **shared_headers} == ours["headers"]
        assert ours["properties"].keys() == theirs["properties"].keys() - {"expiration"}
        for part in ("delivery_mode", "delivery_info", "priority", "body_encoding", "correlation_id"):
            assert ours["properties"][part] == theirs["properties"][part]
    celery.close()


def test_creating_a_job_queues_its_messages(jobs: JobStore) -> None:
    assert create(jobs, "one")
    for branch in Branch:
        assert jobs.redis.llen(queue_key(branch)) == 1


def test_no_job_is_created_beyond_the_limit_of_active_jobs(jobs: JobStore) -> None:
    assert create(jobs, "one", max_active=2)
    assert create(jobs, "two", max_active=2)
    assert not create(jobs, "three", max_active=2)
    assert jobs.records.document("three") is None
    assert jobs.records.active() == 2
    for branch in Branch:
        assert jobs.redis.llen(queue_key(branch)) == 2


def take(jobs: JobStore, branch: Branch) -> None:
    """Take a message as a worker does that dies before it begins."""
    assert jobs.redis.rpop(queue_key(branch))


def grow_old(jobs: JobStore, *job_ids: str) -> None:
    for job_id in job_ids:
        for branch in Branch:
            jobs.redis.execute_command("ZADD", waiting_key(branch), "XX", "INCR", -STRANDED_S - 1, job_id)


def stranded(jobs: JobStore) -> list[tuple[str, Branch]]:
    return [(job_id, branch) for branch in Branch for job_id in jobs.overdue.stranded(branch)]


def test_a_message_lost_with_its_worker_is_found_once(jobs: JobStore) -> None:
    create(jobs, "01")
    take(jobs, Branch.RPPG)
    assert stranded(jobs) == [], "a worker may be about to begin"
    grow_old(jobs, "01")
    assert stranded(jobs) == [("01", Branch.RPPG)]
    assert stranded(jobs) == [], "it was sent again by the first call"


def test_waiting_and_begun_messages_are_not_reported_as_lost(jobs: JobStore) -> None:
    for job_id in ("01", "02"):
        create(jobs, job_id)
    grow_old(jobs, "01", "02")
    take(jobs, Branch.VISION)
    assert jobs.leases.of("01", Branch.VISION).begin(60) == "go"
    assert stranded(jobs) == []
    create(jobs, "03")
    for _ in range(2):
        take(jobs, Branch.RPPG)
    # The messages that wait now are younger than those that were taken.
    assert stranded(jobs) == [("01", Branch.RPPG), ("02", Branch.RPPG)]


def test_the_job_of_a_message_is_read_from_celerys_messages_too(broker: Broker, jobs: JobStore, tmp_path: Path) -> None:
    celery = make_celery(Settings(redis_url=broker.url, data_dir=tmp_path))
    celery.send_task(TASKS[Branch.RPPG], args=["01J"], queue=QUEUES[Branch.RPPG])
    celery.close()
    assert job_of(jobs.redis.lindex(queue_key(Branch.RPPG), -1)) == "01J"
    assert job_of(message(Branch.RPPG, "01J")) == "01J"
