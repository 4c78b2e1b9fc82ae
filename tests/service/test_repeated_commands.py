"""A command that is repeated because its response was lost returns the same result and has no second effect."""

from typing import Any

import pytest

from facevitals.local.broker import Broker
from shared.access.quotas import Admission, Quotas
from shared.jobs.job_store import JobStore
from shared.jobs.keys import LEASES, active_key
from shared.jobs.leases import Begin
from shared.jobs.lua import Script
from shared.schemas import BranchOutcome, BranchStatus, JobDocument, JobOptions
from shared.vitals import Branch

DONE = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1)


@pytest.fixture
def jobs(broker: Broker) -> JobStore:
    return JobStore.connect(broker.url, 600)


def create(jobs: JobStore) -> JobDocument:
    made = jobs.submissions.create("one", list(Branch), JobOptions(), owner="-", clip_key="clips/one", deadline_s=60)
    assert made is not None
    return made


def events(jobs: JobStore) -> list[str]:
    return [event.name for event in jobs.events.of("one").after()]


def queued(jobs: JobStore) -> list[int]:
    return [jobs.redis.llen(f"fvq:{branch}") for branch in Branch]


def test_a_repeated_creation_returns_the_same_job(jobs: JobStore) -> None:
    first = create(jobs)
    assert create(jobs) == first
    assert queued(jobs) == [1, 1]
    assert events(jobs) == ["state"]


def test_a_repeated_creation_does_not_reopen_an_ended_job(jobs: JobStore) -> None:
    create(jobs)
    for branch in Branch:
        jobs.leases.of("one", branch, "token").begin(60)
        jobs.outcomes.write("one", branch, DONE)
    jobs.completion.finish("one")
    before = jobs.records.document("one")
    create(jobs)
    assert jobs.records.document("one") == before
    assert queued(jobs) == [1, 1]
    assert jobs.records.active() == 0


def test_a_repeated_begin_counts_as_one_try(jobs: JobStore) -> None:
    create(jobs)
    assert jobs.leases.of("one", Branch.RPPG, "mine").begin(60) is Begin.GO
    assert jobs.leases.of("one", Branch.RPPG, "mine").begin(60) is Begin.GO
    assert jobs.leases.of("one", Branch.RPPG, "another's").begin(60) is Begin.BUSY
    assert jobs.redis.hget("fv:job:one", "try:rppg") == "1"
    assert events(jobs) == ["state", "state", "branch"]


def test_an_outcome_is_written_once_and_the_last_writer_finishes_the_job(jobs: JobStore) -> None:
    create(jobs)
    assert jobs.outcomes.write("one", Branch.RPPG, DONE) == (True, False)
    assert jobs.outcomes.write("one", Branch.RPPG, DONE) == (True, False)
    assert jobs.outcomes.write("one", Branch.VISION, DONE) == (True, True)
    assert jobs.outcomes.write("one", Branch.VISION, DONE) == (True, True)
    other = DONE.model_copy(update={"elapsed_ms": 2})
    assert jobs.outcomes.write("one", Branch.VISION, other) == (False, False)
    assert events(jobs).count("branch") == 2


def test_a_job_is_counted_and_erased_once(jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    create(jobs)
    for branch in Branch:
        jobs.outcomes.write("one", branch, DONE)
    run = Script.run
    answers: list[int] = []

    def twice(script: Script[Any], client: Any) -> Any:  # noqa: ANN401
        answers.extend(run(script, client) for _ in range(2))
        return answers[-1]

    monkeypatch.setattr(Script, "run", twice)
    assert jobs.completion.finish("one") == "clips/one", "the caller that ended it erases the clip"
    assert answers == [1, 1]
    assert jobs.completion.finish("one") is None
    assert jobs.counters.read()["jobs:succeeded"] == 1
    assert events(jobs).count("done") == 1


def test_a_lost_try_is_queued_again_once(jobs: JobStore) -> None:
    create(jobs)
    jobs.redis.rpop("fvq:rppg")
    jobs.leases.of("one", Branch.RPPG, "token").begin(60)
    jobs.leases.of("one", Branch.RPPG).expire()
    assert [lost.again for lost in jobs.overdue.lost_tries()] == [True]
    # The state that a repeated call of the script finds.
    jobs.redis.zadd(LEASES, {"other rppg": 0})
    assert list(jobs.overdue.lost_tries()) == []
    assert queued(jobs) == [1, 1]


def test_an_event_is_added_once(jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    create(jobs)
    run = Script.run

    def twice(script: Script[Any], client: Any) -> Any:  # noqa: ANN401
        return [run(script, client) for _ in range(2)][-1]

    monkeypatch.setattr(Script, "run", twice)
    # An earlier verdict may be emitted again.
    for verdict in ("fail", "pass", "fail"):
        assert jobs.events.of("one").emit("check", {"name": "lighting", "check": verdict})
    assert events(jobs).count("check") == 3


def test_a_submission_takes_one_place_and_counts_once(jobs: JobStore) -> None:
    quotas = Quotas(jobs.redis)
    for _ in range(2):
        assert quotas.acquire("key:me", "place", rate_per_min=1, max_active=1).admission is Admission.ADMITTED
    assert quotas.acquire("key:me", "another", rate_per_min=0, max_active=1).admission is Admission.TOO_MANY_ACTIVE
    quotas.release("key:me", "place")
    assert quotas.acquire("key:me", "another", rate_per_min=1, max_active=1).admission is Admission.RATE_EXCEEDED
    assert jobs.redis.zcard(active_key("key:me")) == 0
