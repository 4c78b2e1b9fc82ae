"""`facevitals keys usage`: what each key submitted, by day, each job once."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from facevitals.cli import app
from facevitals.local.broker import Broker
from shared.access.api_keys import KeyRing
from shared.jobs.job_store import JobStore
from shared.jobs.keys import usage_key
from shared.jobs.usage import USAGE_TTL_S, read_usage
from shared.schemas import BranchOutcome, BranchStatus, ClipFacts, ErrorCode, JobOptions
from shared.settings import settings
from shared.vitals import Branch

from .conftest import LOOKS_LIKE_MP4, Service, wait_until

FACTS = ClipFacts(
    duration_s=12.5, frames=375, fps=30, width=640, height=480, container="mp4", codec="h264", bytes=9, sha256="0" * 64
)
DONE = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1, clip=FACTS)


@pytest.fixture
def jobs(broker: Broker) -> JobStore:
    return JobStore.connect(broker.url, 600)


@pytest.fixture
def usage(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("FACEVITALS_REDIS_URL", broker.url)

    def run(*arguments: str) -> str:
        settings.cache_clear()
        result = CliRunner().invoke(app.app, ["keys", "usage", *arguments])
        settings.cache_clear()
        assert result.exit_code == 0, result.output
        return result.output

    return run


def create(jobs: JobStore, job_id: str, owner: str) -> None:
    for _ in range(2):
        # As redis-py does where a reply is lost.
        jobs.submissions.create(
            job_id, list(Branch), JobOptions(), owner=owner, clip_key=f"clips/{job_id}", deadline_s=60
        )


def succeed(jobs: JobStore, job_id: str) -> None:
    for branch in Branch:
        jobs.outcomes.write(job_id, branch, DONE)
    for _ in range(2):
        jobs.completion.finish(job_id)


def test_jobs_and_seconds_are_counted_once_by_key_and_day(jobs: JobStore, usage: Callable[..., str]) -> None:
    clinic = KeyRing(jobs.redis).create("clinic").stored
    for job in ("one", "two", "three", "four"):
        create(jobs, job, clinic.owner)
    create(jobs, "five", "-")
    succeed(jobs, "one")
    for branch in Branch:
        jobs.outcomes.end_branch("two", branch, ErrorCode.BRANCH_FAILED, "It failed.")
    jobs.records.delete("three")
    found = json.loads(usage("--json"))
    names = ("submitted", "succeeded", "failed", "clip_s")
    # Over midnight there are two days.
    counted = {
        key: [sum(row[name] for row in found if row["key"] == key) for name in names] for key in (clinic.id, None)
    }
    assert counted[clinic.id] == [4, 1, 1, 12.5]
    assert counted[None] == [1, 0, 0, 0]
    assert all(row["day"] >= "2020" for row in found)
    assert "clinic" in usage()
    assert json.loads(usage("--key", clinic.id, "--json")) == [row for row in found if row["key"] == clinic.id]


def test_only_the_last_days_are_shown_and_counts_end(jobs: JobStore, usage: Callable[..., str]) -> None:
    create(jobs, "one", "-")
    keys = list(jobs.redis.scan_iter(match="fv:usage:*"))
    assert all(0 < jobs.redis.ttl(key) <= USAGE_TTL_S for key in keys)
    old = usage_key("key:abc", "2001-02-03")
    jobs.redis.hset(old, mapping={"submitted": 7})
    assert [row.submitted for row in read_usage(jobs.redis)] == [1, 7]
    assert "2001" not in usage("--days", "35")
    jobs.redis.delete(old)


def test_a_refused_submission_counts_nothing(jobs: JobStore) -> None:
    for job, most in (("one", 1), ("two", 1)):
        jobs.submissions.create(
            job, list(Branch), JobOptions(), owner="-", clip_key=job, deadline_s=60, max_active=most
        )
    assert [row.submitted for row in read_usage(jobs.redis)] == [1]


def test_a_job_of_a_real_service_is_counted(faulty_service: Service) -> None:
    made = KeyRing(faulty_service.redis).create("clinic")
    with faulty_service.client() as client:
        client.headers["X-API-Key"] = made.key
        job = client.post("/v1/jobs", content=LOOKS_LIKE_MP4).json()["id"]
        wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["state"] == "succeeded", "the job ends")
    rows = [row for row in read_usage(faulty_service.redis) if row.owner == made.stored.owner]
    assert sum(row.submitted for row in rows) == sum(row.succeeded for row in rows) == 1
    assert sum(row.clip_s for row in rows) == 15.0
