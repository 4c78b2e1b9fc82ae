"""A claim holds a branch from its lease to its outcome, and the last claim of a job ends it and erases the clip."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from facevitals.local.broker import Broker
from shared.clips.store import ClipStore
from shared.jobs.claim import BranchClaims, NotClaimedError
from shared.jobs.job_store import JobStore
from shared.jobs.keys import LEASES, WORKING
from shared.jobs.leases import MAX_TRIES
from shared.jobs.progress import JobOverError
from shared.schemas import BranchOutcome, BranchReport, BranchStatus, JobDocument, JobOptions, JobState
from shared.vitals import Branch

DONE = BranchOutcome(status=BranchStatus.OK, elapsed_ms=1)


@pytest.fixture
def jobs(broker: Broker) -> Iterator[JobStore]:
    store = JobStore.connect(broker.url, 600)
    yield store
    store.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "store" / ClipStore.key("one")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a clip")
    return path


@pytest.fixture
def claims(jobs: JobStore, clip: Path) -> BranchClaims:
    """A worker, and a job with the clip in its store."""
    key = ClipStore.key("one")
    made = jobs.submissions.create("one", list(Branch), JobOptions(), owner="-", clip_key=key, deadline_s=60)
    assert made is not None
    return BranchClaims(jobs, ClipStore(clip.parents[1].as_uri()), 60)


def document(jobs: JobStore) -> JobDocument:
    found = jobs.records.document("one")
    assert found is not None
    return found


def report(jobs: JobStore, branch: Branch) -> BranchReport:
    found: BranchReport = getattr(document(jobs).branches, branch)
    return found


def test_the_last_claim_of_a_job_ends_it_and_erases_the_clip(jobs: JobStore, claims: BranchClaims, clip: Path) -> None:
    for branch in Branch:
        with claims.claim("one", branch) as claim, claim.clip() as path:
            assert path.read_bytes() == b"a clip"
            assert report(jobs, branch).status is BranchStatus.RUNNING
            claim.progress.stage("decoding")
            claim.complete(DONE)
            # Handed over, and written when the block ends.
            assert report(jobs, branch).status is BranchStatus.RUNNING
        assert report(jobs, branch).status is BranchStatus.OK
    assert document(jobs).state is JobState.SUCCEEDED
    assert not clip.exists()
    assert jobs.overdue.unerased() == []
    assert jobs.redis.zcard(LEASES) == jobs.redis.zcard(WORKING) == 0
    names = [event.name for event in jobs.events.of("one").after()]
    assert names == ["state", "state", *(["branch", "stage", "branch"] * len(Branch)), "done"]


def test_a_block_that_raises_writes_no_outcome_and_the_branch_can_be_claimed_again(
    jobs: JobStore, claims: BranchClaims
) -> None:
    with pytest.raises(ZeroDivisionError), claims.claim("one", Branch.RPPG):
        raise ZeroDivisionError
    assert report(jobs, Branch.RPPG).status is BranchStatus.RUNNING
    jobs.leases.of("one", Branch.RPPG).expire()
    assert [lost.again for lost in jobs.overdue.lost_tries()] == [True]
    with claims.claim("one", Branch.RPPG) as claim:
        claim.complete(DONE)
    assert report(jobs, Branch.RPPG).status is BranchStatus.OK


def test_a_block_must_hand_over_an_outcome(claims: BranchClaims) -> None:
    with pytest.raises(RuntimeError, match="outcome"), claims.claim("one", Branch.RPPG):
        pass


def test_a_branch_is_claimed_by_one_worker(jobs: JobStore, claims: BranchClaims) -> None:
    with claims.claim("one", Branch.RPPG) as claim:
        with pytest.raises(NotClaimedError), claims.claim("one", Branch.RPPG):
            pytest.fail("the branch is held")
        claim.complete(DONE)
    with pytest.raises(NotClaimedError), claims.claim("one", Branch.RPPG):
        pytest.fail("the branch has its outcome")
    # A message that is out of date is counted; one of a branch that is worked on is not.
    assert jobs.counters.read() == {"dropped:rppg:old": 1}


def test_work_on_a_job_that_is_over_stops_at_its_next_report(jobs: JobStore, claims: BranchClaims) -> None:
    reached: list[str] = []
    with claims.claim("one", Branch.RPPG) as claim:
        claim.progress.stage("decoding")
        jobs.records.delete("one")
        reached.append("deleted")
        claim.progress.stage("estimating")
        reached.append("estimating")
    assert reached == ["deleted"]
    assert list(jobs.redis.scan_iter(match="fv:job:*")) == []
    with pytest.raises(NotClaimedError), claims.claim("one", Branch.VISION):
        pytest.fail("the job is gone")
    with pytest.raises(JobOverError):
        claim.progress.stage("again")


def test_a_branch_without_tries_left_ends_as_failed(jobs: JobStore, claims: BranchClaims) -> None:
    for _ in range(MAX_TRIES):
        lease = jobs.leases.of("one", Branch.RPPG)
        assert lease.begin(60) == "go"
        lease.expire()
    with pytest.raises(NotClaimedError), claims.claim("one", Branch.RPPG):
        pytest.fail("no try is left")
    ended = report(jobs, Branch.RPPG)
    assert ended.status is BranchStatus.ERROR
    assert ended.error is not None
    assert "died" in ended.error.detail
