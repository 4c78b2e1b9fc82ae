"""The end of a job: its document is assembled from the branches' outcomes and made final."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from pydantic import ValidationError

from shared.jobs.assembly import assemble, read_outcome, versions
from shared.jobs.connection import broker_time
from shared.jobs.counters import REJECTED
from shared.jobs.events import JobEvents
from shared.jobs.keys import (
    BATCH,
    BATCH_BYTES,
    COUNTERS,
    COUNTERS_TTL_S,
    DEADLINES,
    ERASE,
    LEASES,
    READY,
    WEBHOOKS,
    WORKING,
    Key,
    active_key,
    events_key,
    record_key,
    waiting_keys,
    waveforms_key,
)
from shared.jobs.records import created_at, moment
from shared.jobs.scripts.common import CHANGED, MAX_READS, RecordChangedError
from shared.jobs.scripts.completion import FinishJob, ReplaceWaveforms
from shared.jobs.usage import USAGE_TTL_S, usage_of
from shared.jobs.withdrawal import corrections, served_waveforms
from shared.observability.metrics import INTERVAL, JOB, Sample, observe
from shared.schemas import JobDocument, JobOptions, JobState, Priority, Waveforms
from shared.vitals import Branch


class JobCompletion:
    """Ends jobs. Safe to share between threads."""

    def __init__(self, client: redis.Redis, events: JobEvents, result_ttl_s: int) -> None:
        self._redis: Any = client
        self._events = events
        self._ttl_s = result_ttl_s

    def finish(self, job_id: str) -> str | None:
        """Assemble the document from the outcomes that were written and make it final.

        Returns the key of the clip to erase, if there is one and this call ended the job.

        Raises:
            RecordChangedError: the job's record changed at every read.
        """
        for _ in range(MAX_READS):
            record = self._redis.hgetall(record_key(job_id))
            if not record or JobState(record["state"]).is_final:
                self._redis.zrem(DEADLINES, job_id)
                self._redis.zrem(READY, job_id)
                return None
            options = JobOptions.read(record["options"])
            now = broker_time(self._redis)
            document = _assemble(job_id, record, options, now)
            self._withdraw(job_id, document)
            clip_key = None if options.retain_clip else record["clip_key"]
            usage = usage_of(record.get("owner", ""), now)
            reply = self._finish(job_id, record, document, usage, clip_key, has_webhook=bool(options.webhook_url))
            # Another record by now: the job was deleted and created again.
            if reply == CHANGED:
                continue
            if reply:
                observe(self._redis, _observations(document, options.priority))
            return clip_key if reply else None
        raise RecordChangedError(job_id)

    def _finish(
        self,
        job_id: str,
        record: Mapping[str, str],
        document: JobDocument,
        usage: Key,
        clip_key: str | None,
        *,
        has_webhook: bool,
    ) -> int:
        branches = record["branches"].split(" ")
        owner = record.get("owner", "")
        vitals = (
            f"vitals:{name}:{vital.status}:{vital.reason or ''}" for name, vital in document.vitals.by_name().items()
        )
        rejected = [f"{REJECTED}:{document.error.code}"] if document.error and document.error.code.rejects_clip else []
        return FinishJob(
            record=record_key(job_id),
            events=events_key(job_id),
            waves=waveforms_key(job_id),
            deadlines=DEADLINES,
            ready=READY,
            erase=ERASE,
            webhooks=WEBHOOKS,
            counters=COUNTERS,
            usage=usage,
            active=active_key(owner),
            batch_active=active_key(owner, Priority.BATCH),
            batch=BATCH,
            batch_bytes=BATCH_BYTES,
            leases=LEASES,
            working=WORKING,
            job_id=job_id,
            owner=owner,
            state=document.state,
            finished_at=document.finished_at.isoformat() if document.finished_at else "",
            document=document.model_dump_json(),
            clip_key=clip_key,
            has_webhook=has_webhook,
            ttl_s=self._ttl_s,
            counters_ttl_s=COUNTERS_TTL_S,
            usage_ttl_s=USAGE_TTL_S,
            clip_ms=round(1000 * document.clip.duration_s) if document.clip else 0,
            branches=tuple(branches),
            waiting=waiting_keys(*branches),
            counted=(f"jobs:{document.state}", *rejected, *vitals),
        ).run(self._redis)

    def _withdraw(self, job_id: str, document: JobDocument) -> None:
        """Withdraw, before the end is announced, what the document does not report. Repeating it changes nothing."""
        waves = waveforms_key(job_id)
        if stored := self._redis.get(waves):
            try:
                served = served_waveforms(Waveforms.read(stored), document.vitals.by_name())
            except ValidationError:
                served = Waveforms()  # another release wrote them: which vitals they belong to is not known
            ReplaceWaveforms(waves=waves, waveforms=served.model_dump_json()).run(self._redis)
        events = self._events.of(job_id)
        emitted = ((event.name, json.loads(event.data)) for event in events.after())
        for name, data in corrections(document, emitted):
            events.emit(name, data)


def _assemble(job_id: str, record: Mapping[str, str], options: JobOptions, now: float) -> JobDocument:
    branches = [Branch(name) for name in record["branches"].split()]
    return assemble(
        job_id=job_id,
        created_at=created_at(record),
        finished_at=moment(now),
        requested=branches,
        outcomes={
            branch: read_outcome(record[field]) for branch in branches if (field := f"outcome:{branch}") in record
        },
        vitals=options.vitals,
        versions=versions(),
    )


def _observations(document: JobDocument, priority: Priority) -> Iterator[Sample]:
    if document.finished_at is not None and priority is Priority.INTERACTIVE:
        yield Sample(JOB, (document.state,), (document.finished_at - document.created_at).total_seconds())
    for name, vital in document.vitals.by_name().items():
        if vital.interval is not None:
            yield Sample(INTERVAL, (name,), vital.interval[1] - vital.interval[0])
