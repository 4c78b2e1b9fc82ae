"""A worker's claim on a branch of a job, from taking the lease to writing the outcome.

    with claims.claim(job_id, branch) as claim:
        claim.complete(*analyze(claim))

The claim holds the lease and renews it, reports progress, writes the outcome, ends the job if it was the last one, and
then erases the clip. A worker that dies at any moment loses nothing: its lease ends, and the branch is queued again.
"""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import structlog
from redis.exceptions import RedisError

from shared.clips.store import ClipStore, StoreUnavailableError
from shared.jobs.assembly import failed_outcome
from shared.jobs.broker_errors import retry_passing_failures
from shared.jobs.celery_messages import Dropped
from shared.jobs.job_store import JobStore
from shared.jobs.leases import Begin
from shared.jobs.progress import BranchProgress, JobOverError
from shared.jobs.queues import queue_name
from shared.jobs.records import JobRequest
from shared.observability import tracing
from shared.observability.metrics import BRANCH, WAIT, Sample, observe, status_label
from shared.schemas import BranchOutcome, BranchStatus, ErrorCode, Waveforms
from shared.vitals import Branch

_WORKER_DIED: Final = "The worker died on this clip before. Record it again, or convert it to H.264 MP4."

log = structlog.get_logger()


class NotClaimedError(Exception):
    """There is nothing to do: another worker holds the branch, or it has ended."""


class Claim:
    """A branch of a job that this worker holds: the request, the clip, and the progress and outcome to report."""

    def __init__(
        self, branch: Branch, request: JobRequest, clips: ClipStore, progress: BranchProgress, begun: float
    ) -> None:
        self.branch, self.request, self.progress = branch, request, progress
        self._clips, self._begun = clips, begun
        self._outcome: BranchOutcome | None = None
        self.waveforms: Waveforms | None = None

    @property
    def outcome(self) -> BranchOutcome:
        """The outcome that was handed over.

        Raises:
            RuntimeError: the block of the claim ended without one.
        """
        if self._outcome is None:
            raise RuntimeError("the block of a claim must hand over an outcome")
        return self._outcome

    @property
    def log_reference(self) -> str:
        """A text that finds the claim's lines in the log; it does not reveal the job's id."""
        return hashlib.sha256(f"{self.progress.job_id}{self.branch}".encode()).hexdigest()[:8]

    def clip(self) -> AbstractContextManager[Path]:
        """Return the clip as a readable file for the length of a block.

        Raises:
            ClipMissingError: it is no longer in the store.
            StoreUnavailableError: the store is away.
        """
        return self._clips.local_copy(self.request.clip_key, self.request.encryption_key)

    def elapsed_ms(self) -> int:
        """Return the time since the claim began, milliseconds."""
        return round(1000 * (time.monotonic() - self._begun))

    def complete(self, outcome: BranchOutcome, waveforms: Waveforms | None = None) -> None:
        """Hand over the branch's outcome; it is written when the block of the claim ends."""
        self._outcome, self.waveforms = outcome, waveforms


class BranchClaims:
    """Claims branches of jobs for one worker process. Safe to share between threads."""

    def __init__(self, jobs: JobStore, clips: ClipStore, work_s: float) -> None:
        """Claim jobs whose clips are in `clips`, each branch for at most `work_s` seconds of work."""
        self._jobs, self._clips, self._work_s = jobs, clips, work_s

    @contextlib.contextmanager
    def claim(self, job_id: str, branch: Branch) -> Iterator[Claim]:
        """Hold a branch for the length of the block, then write its outcome.

        A block that raises writes no outcome: the lease ends, and the branch is queued again. A block that is stopped
        because the job is over ends quietly.

        Raises:
            NotClaimedError: there is nothing to do.
            redis.exceptions.RedisError: the broker is away or full for too long, or refuses.
        """
        lease = self._jobs.leases.of(job_id, branch)
        begin = retry_passing_failures(lambda: lease.begin(self._work_s))
        if begin is Begin.EXHAUSTED:
            self._complete(job_id, branch, failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, _WORKER_DIED))
            raise NotClaimedError(begin)
        if begin is not Begin.GO:
            log.info("nothing to do", branch=branch, why=begin)
            if begin is not Begin.BUSY:
                self._count_dropped(branch)
            raise NotClaimedError(begin)
        begun = time.monotonic()
        with lease.renewing():
            request = retry_passing_failures(lambda: self._jobs.records.request(job_id))
            if request is None:
                log.info("job is over", branch=branch)
                raise NotClaimedError(Begin.GONE)
            progress = BranchProgress(self._jobs.events.of(job_id), branch)
            claim = Claim(branch, request, self._clips, progress, begun)
            try:
                with tracing.span(f"{branch} branch", parent=request.traceparent, **progress.attributes):
                    try:
                        yield claim
                    finally:
                        progress.end_stage()
                    tracing.set_attributes(status=claim.outcome.status)
            except JobOverError:
                log.info("job is over", branch=branch)
                return
            self._observe(claim)
            self._complete(job_id, branch, claim.outcome, claim.waveforms)
        log.info("branch ended", branch=branch, status=status_label(claim.outcome), elapsed_ms=claim.outcome.elapsed_ms)

    def _complete(
        self, job_id: str, branch: Branch, outcome: BranchOutcome, waveforms: Waveforms | None = None
    ) -> None:
        clip_key = self._jobs.outcomes.complete(job_id, branch, outcome, waveforms)
        if clip_key is None:
            return
        try:
            self._clips.erase(clip_key)
        except StoreUnavailableError:
            log.warning("clip not erased; the sweep will", clip=clip_key)
            return
        self._jobs.records.erased(clip_key)

    def _observe(self, claim: Claim) -> None:
        status, took_s = status_label(claim.outcome), claim.outcome.elapsed_ms / 1000
        # Batch jobs wait for hours: apart from the others.
        queue = queue_name(claim.branch, claim.request.options.priority)
        waited = Sample(WAIT, (queue,), claim.request.waited_s)
        worked = Sample(BRANCH, (claim.branch, status), took_s)
        observe(self._jobs.redis, [waited, worked, *claim.progress.observations])

    def _count_dropped(self, branch: Branch) -> None:
        with contextlib.suppress(RedisError):
            self._jobs.counters.count_dropped(queue_name(branch), Dropped.OLD)
