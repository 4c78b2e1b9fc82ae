"""Outcomes of branches: each is written once, and the last one ends the job."""

from typing import Any, NamedTuple

import redis

from shared.jobs.assembly import failed_outcome
from shared.jobs.broker_errors import retry_passing_failures
from shared.jobs.completion import JobCompletion
from shared.jobs.keys import LEASES, PACE, READY, WORKING, events_key, record_key, waiting_keys, waveforms_key
from shared.jobs.scripts.completion import WriteOutcome
from shared.schemas import BranchOutcome, BranchStatus, ErrorCode, Waveforms
from shared.vitals import Branch


class Written(NamedTuple):
    """Whether an outcome is the branch's, and whether it was the last one missing."""

    is_written: bool
    is_last: bool


class BranchOutcomes:
    """Writes outcomes of branches. Safe to share between threads."""

    def __init__(self, client: redis.Redis, completion: JobCompletion, live_ttl_s: int) -> None:
        self._redis: Any = client
        self._completion, self._live_ttl_s = completion, live_ttl_s

    def complete(
        self, job_id: str, branch: Branch, outcome: BranchOutcome, waveforms: Waveforms | None = None
    ) -> str | None:
        """Write a branch's outcome and, if it was the last one missing, end the job. Waits for a broker that is away.

        Returns the key of the clip to erase, if there is one and this call ended the job.

        Raises:
            redis.exceptions.RedisError: the broker is away or full for too long, or refuses.
        """
        written = retry_passing_failures(lambda: self.write(job_id, branch, outcome, waveforms))
        return retry_passing_failures(lambda: self._completion.finish(job_id)) if written.is_last else None

    def write(
        self,
        job_id: str,
        branch: Branch,
        outcome: BranchOutcome,
        waveforms: Waveforms | None = None,
        *,
        only_waiting: bool = False,
    ) -> Written:
        """Write a branch's outcome, once; with `only_waiting`, unless a worker has begun the branch."""
        reply = WriteOutcome(
            record=record_key(job_id),
            events=events_key(job_id),
            waves=waveforms_key(job_id),
            ready=READY,
            waiting=waiting_keys(branch),
            leases=LEASES,
            working=WORKING,
            pace=PACE,
            job_id=job_id,
            branch=branch,
            outcome=outcome.model_dump_json(),
            report=outcome.report.model_dump_json(),
            waveforms=waveforms.model_dump_json() if waveforms else None,
            ttl_s=self._live_ttl_s,
            # The time in which a clip is rejected does not predict how long others take.
            is_measured=outcome.status is BranchStatus.OK,
            only_waiting=only_waiting,
        ).run(self._redis)
        return Written(is_written=reply > 0, is_last=reply == 2)

    def end_branch(
        self, job_id: str, branch: Branch, code: ErrorCode, detail: str, *, only_waiting: bool = False
    ) -> None:
        """Write the outcome of a branch that is given up; ends the job if it was the last one.

        `only_waiting`: unless a worker has begun it meanwhile.
        """
        status = BranchStatus.ERROR if code is ErrorCode.BRANCH_FAILED else BranchStatus.TIMEOUT
        outcome = failed_outcome(status, code, detail)
        if self.write(job_id, branch, outcome, only_waiting=only_waiting).is_last:
            self._completion.finish(job_id)

    def time_out(self, job_id: str) -> None:
        """End a job whose deadline has passed, with `branch_timeout` for what is missing."""
        record = self._redis.hgetall(record_key(job_id))
        for branch in map(Branch, record.get("branches", "").split()):
            if f"outcome:{branch}" not in record:
                detail = f"The {branch} branch did not end in the time that it has. Submit the clip again."
                self.end_branch(job_id, branch, ErrorCode.BRANCH_TIMEOUT, detail)
        self._completion.finish(job_id)
