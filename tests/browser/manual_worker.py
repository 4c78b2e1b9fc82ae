"""A worker that a test drives step by step, behind a gateway without workers."""

from shared.jobs.job_store import JobStore
from shared.jobs.leases import Begin
from shared.schemas import VITAL_TYPES, BranchOutcome, BranchStatus, HeartRate, Vital, VitalStatus
from shared.vitals import VITALS, Branch, Reason

#: The first bytes of an MP4, which is all that the gateway checks.
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(2000)

HEART = HeartRate(value=66.0, unit="/min", status=VitalStatus.OK, interval=(65.0, 67.0), interval_level=0.9)


class Worker:
    """Runs both branches of one job, one step at a time."""

    def __init__(self, jobs: JobStore, job_id: str) -> None:
        self._jobs, self._events = jobs, jobs.events.of(job_id)
        self._job = job_id

    def begin(self) -> None:
        """Start both branches."""
        for branch in Branch:
            assert self._jobs.leases.of(self._job, branch).begin(90) is Begin.GO
            self._events.emit_stage(branch, "decoding and tracking", 5)

    def report(self, name: str, vital: Vital) -> None:
        """Report a vital."""
        assert self._events.emit_vital(name, vital)

    def finish(self) -> None:
        """Finish with a heart rate and a reason for every other vital."""
        for branch in Branch:
            vitals = {
                name: HEART
                if name == "heart_rate"
                else VITAL_TYPES[name].without_value(spec.unit, VitalStatus.ABSTAINED, Reason.MOTION)
                for name, spec in VITALS.items()
                if spec.branch is branch
            }
            outcome = BranchOutcome(status=BranchStatus.OK, elapsed_ms=9, vitals=vitals)
            self._jobs.outcomes.write(self._job, branch, outcome)
        self._jobs.completion.finish(self._job)
