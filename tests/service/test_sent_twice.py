"""A command that is sent again, because its answer was lost, has its answer again and no second effect."""

from typing import Any

import pytest

from facevitals.local.broker import Broker
from shared.access.quotas import Admission, Quotas
from shared.jobs.records import ACTIVE, LEASES, Begin, JobRecords, connect
from shared.schemas import BranchOutcome, BranchStatus, JobDocument, JobOptions
from shared.vitals import Branch

DONE = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1)


@pytest.fixture
def records(broker: Broker) -> JobRecords:
    return JobRecords(connect(broker.url), 600)


def create(records: JobRecords) -> JobDocument:
    made = records.create("one", list(Branch), JobOptions(), owner="-", clip_key="clips/one", deadline_s=60)
    assert made is not None
    return made


def events(records: JobRecords) -> list[str]:
    return [event.name for event in records.events_after("one", "0")]


def queued(records: JobRecords) -> list[int]:
    return [records.redis.llen(f"fvq:{branch}") for branch in Branch]


def test_a_job_is_made_once(records: JobRecords) -> None:
    first = create(records)
    assert create(records) == first
    assert queued(records) == [1, 1]
    assert events(records) == ["state"]


def test_a_job_that_ended_meanwhile_stays_ended(records: JobRecords) -> None:
    create(records)
    for branch in Branch:
        records.begin("one", branch, "token", 60)
        records.write_outcome("one", branch, DONE)
    records.finish("one")
    before = records.document("one")
    create(records)
    assert records.document("one") == before
    assert queued(records) == [1, 1]
    assert records.active() == 0


def test_a_worker_that_begins_twice_has_begun_once(records: JobRecords) -> None:
    create(records)
    assert records.begin("one", Branch.RPPG, "mine", 60) is Begin.GO
    assert records.begin("one", Branch.RPPG, "mine", 60) is Begin.GO
    assert records.begin("one", Branch.RPPG, "another's", 60) is Begin.BUSY
    assert records.redis.hget("fv:job:one", "try:rppg") == "1"
    assert events(records) == ["state", "state", "branch"]


def test_an_outcome_is_written_once_and_its_writer_finishes_the_job(records: JobRecords) -> None:
    create(records)
    assert records.write_outcome("one", Branch.RPPG, DONE) == (True, False)
    assert records.write_outcome("one", Branch.RPPG, DONE) == (True, False)
    assert records.write_outcome("one", Branch.VISION, DONE) == (True, True)
    assert records.write_outcome("one", Branch.VISION, DONE) == (True, True)
    other = DONE.model_copy(update={"elapsed_ms": 2})
    assert records.write_outcome("one", Branch.VISION, other) == (False, False)
    assert events(records).count("branch") == 2


def test_a_job_is_counted_and_erased_once(records: JobRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    create(records)
    for branch in Branch:
        records.write_outcome("one", branch, DONE)
    run = JobRecords._run
    answers: list[int] = []

    def twice(self: JobRecords, script: str, keys: list[str], *args: str | float) -> Any:  # noqa: ANN401
        answers.extend(run(self, script, keys, *args) for _ in range(2))
        return answers[-1]

    monkeypatch.setattr(JobRecords, "_run", twice)
    assert records.finish("one") == "clips/one", "whoever ended it erases the clip"
    assert answers == [1, 1]
    assert records.finish("one") is None
    assert records.counters()["jobs:succeeded"] == 1
    assert events(records).count("done") == 1


def test_a_lost_try_is_queued_again_once(records: JobRecords) -> None:
    create(records)
    records.redis.rpop("fvq:rppg")
    records.begin("one", Branch.RPPG, "token", 60)
    records.expire_lease("one", Branch.RPPG)
    assert [lost.again for lost in records.lost_tries()] == [True]
    # What a second call of the same script finds.
    records.redis.zadd(LEASES, {"other rppg": 0})
    assert list(records.lost_tries()) == []
    assert queued(records) == [1, 1]


def test_an_event_is_added_once(records: JobRecords, monkeypatch: pytest.MonkeyPatch) -> None:
    create(records)
    run = JobRecords._run

    def twice(self: JobRecords, script: str, keys: list[str], *args: str | float) -> Any:  # noqa: ANN401
        return [run(self, script, keys, *args) for _ in range(2)][-1]

    monkeypatch.setattr(JobRecords, "_run", twice)
    # What was said before may be said again.
    for verdict in ("fail", "pass", "fail"):
        assert records.emit("one", "check", {"name": "lighting", "check": verdict})
    assert events(records).count("check") == 3


def test_a_submission_takes_one_place_and_counts_once(records: JobRecords) -> None:
    quotas = Quotas(records.redis)
    for _ in range(2):
        assert quotas.acquire("key:me", "place", rate_per_min=1, max_active=1).admission is Admission.ADMITTED
    assert quotas.acquire("key:me", "another", rate_per_min=0, max_active=1).admission is Admission.TOO_MANY_ACTIVE
    quotas.release("key:me", "place")
    assert quotas.acquire("key:me", "another", rate_per_min=1, max_active=1).admission is Admission.RATE_EXCEEDED
    assert records.redis.zcard(ACTIVE + "key:me") == 0
