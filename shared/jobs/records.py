"""Job records: read by gateways and workers, deleted by gateways."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from shared.clips.encryption import ClipKey
from shared.jobs.assembly import branch_reports, read_outcome, versions
from shared.jobs.celery_messages import message, queue_key
from shared.jobs.connection import broker_time
from shared.jobs.keys import (
    BATCH,
    BATCH_BYTES,
    DEADLINES,
    ERASE,
    LEASES,
    READY,
    WEBHOOKS,
    WORKING,
    active_key,
    events_key,
    record_key,
    waiting_keys,
    waveforms_key,
)
from shared.jobs.scripts.common import CHANGED, MAX_READS, RecordChangedError
from shared.jobs.scripts.submission import DeleteJob
from shared.schemas import BranchReport, BranchStatus, JobDocument, JobOptions, JobState, Priority
from shared.vitals import Branch


@dataclass(frozen=True)
class JobRequest:
    """What was requested, where the clip is stored, its key if encrypted, the job's age, and its trace ("": none)."""

    options: JobOptions
    clip_key: str
    encryption_key: ClipKey | None
    waited_s: float
    traceparent: str


class BatchJobs(NamedTuple):
    """The unfinished batch jobs: their number, and the bytes of their clips."""

    jobs: int
    clip_bytes: int


class JobRecords:
    """Records of jobs. Safe to share between threads."""

    def __init__(self, client: redis.Redis, result_ttl_s: int) -> None:
        # redis-py's types do not know `decode_responses`: every reply would be bytes or str.
        self.redis: Any = client
        self._ttl_s = result_ttl_s

    def document(self, job_id: str, *, owner: str | None = None) -> JobDocument | None:
        """Return the job document as it is now; None if the job is unknown, expired or, with `owner`, another's."""
        record = self.redis.hgetall(record_key(job_id))
        if not record or (owner is not None and record["owner"] != owner):
            return None
        if "document" in record:
            return JobDocument.read(record["document"])
        return unfinished_document(job_id, JobState(record["state"]), created_at(record), _reports(record))

    def request(self, job_id: str) -> JobRequest | None:
        """Return what was requested of a job, for its worker; None if the job is gone."""
        options, clip_key, seal, created, parent = self.redis.hmget(
            record_key(job_id), "options", "clip_key", "seal", "created", "traceparent"
        )
        if not options:
            return None
        waited_s = max(broker_time(self.redis) - float(created), 0.0) if created else 0.0
        key = ClipKey.parse(seal) if seal else None
        return JobRequest(JobOptions.read(options), clip_key, key, waited_s, parent or "")

    def waveforms(self, job_id: str) -> str | None:
        """Return the waveforms as JSON, or None."""
        waves: str | None = self.redis.get(waveforms_key(job_id))
        return waves

    def delete(self, job_id: str) -> bool:
        """Erase record, events and waveforms, and list the clip for erasure. Returns False if there was no such job.

        Raises:
            RecordChangedError: the job's record changed at every read.
        """
        record = record_key(job_id)
        for _ in range(MAX_READS):
            owner, clip_key = self.redis.hmget(record, "owner", "clip_key")
            existed = DeleteJob(
                record=record,
                events=events_key(job_id),
                waves=waveforms_key(job_id),
                deadlines=DEADLINES,
                ready=READY,
                webhooks=WEBHOOKS,
                leases=LEASES,
                working=WORKING,
                erase=ERASE,
                active=active_key(owner or ""),
                batch_active=active_key(owner or "", Priority.BATCH),
                batch=BATCH,
                batch_bytes=BATCH_BYTES,
                job_id=job_id,
                owner=owner or "",
                clip_key=clip_key,
                ttl_s=self._ttl_s,
                branches=tuple(Branch),
                waiting=waiting_keys(*Branch),
                batch_queues=tuple(queue_key(branch, Priority.BATCH) for branch in Branch),
                batch_messages=tuple(message(branch, job_id, Priority.BATCH) for branch in Branch),
            ).run(self.redis)
            # The record may be created or may expire between the two steps.
            if existed != CHANGED:
                return bool(existed)
        raise RecordChangedError(job_id)

    def erased(self, clip_key: str) -> None:
        """Take a clip off the list of clips to erase."""
        self.redis.zrem(ERASE, clip_key)

    def exists(self, job_id: str) -> bool:
        """Return whether there is such a job."""
        return bool(self.redis.exists(record_key(job_id)))

    def is_unfinished(self, job_id: str) -> bool:
        """Return whether there is such a job and it has no final document yet."""
        state = self.redis.hget(record_key(job_id), "state")
        return state is not None and not JobState(state).is_final

    def needs_clip(self, job_id: str, batch_ttl_s: float) -> bool:
        """Return whether a job's clip is kept however old it is.

        It is while the job is unfinished, and that of a batch job for `batch_ttl_s` seconds after its end.
        """
        state, priority, ended = self.redis.hmget(record_key(job_id), "state", "priority", "finished_at")
        if state is None or not JobState(state).is_final:
            return state is not None
        if priority != Priority.BATCH or not ended:
            return False
        return broker_time(self.redis) - dt.datetime.fromisoformat(ended).timestamp() < batch_ttl_s

    def active(self) -> int:
        """Return the number of jobs without a final document."""
        return int(self.redis.zcard(DEADLINES))

    def batch(self) -> BatchJobs:
        """Return the number of batch jobs without a final document, and the size of their clips."""
        jobs, size = self.redis.zcard(BATCH), self.redis.hget(BATCH_BYTES, "total")
        return BatchJobs(int(jobs), int(size or 0))


def created_at(record: Mapping[str, str]) -> dt.datetime:
    """Return when a job was created; the first releases wrote it as ISO 8601."""
    return moment(float(record["created"])) if "created" in record else dt.datetime.fromisoformat(record["created_at"])


def unfinished_document(
    job_id: str, state: JobState, created: dt.datetime, reports: Mapping[Branch, BranchReport]
) -> JobDocument:
    """Return the document of a job that has not ended."""
    return JobDocument(
        id=job_id, state=state, created_at=created, branches=branch_reports(reports), versions=versions()
    )


def moment(seconds: float) -> dt.datetime:
    """Return the time of a number of seconds since the epoch, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _reports(record: Mapping[str, str]) -> dict[Branch, BranchReport]:
    reports = {}
    for branch in map(Branch, record["branches"].split()):
        if outcome := record.get(f"outcome:{branch}"):
            reports[branch] = read_outcome(outcome).report
        else:
            reports[branch] = BranchReport(status=BranchStatus(record.get(f"status:{branch}", "pending")))
    return reports
