"""Submission: a job's record and the messages of its branches are written in one step."""

from collections.abc import Mapping
from typing import Any

import redis

from shared.clips.encryption import ClipKey
from shared.ids import new_id
from shared.jobs.celery_messages import message, queue_key
from shared.jobs.connection import broker_time
from shared.jobs.keys import BATCH, BATCH_BYTES, DEADLINES, active_key, events_key, record_key, waiting_key
from shared.jobs.records import moment, unfinished_document
from shared.jobs.scripts.submission import CreateJob
from shared.jobs.usage import USAGE_TTL_S, usage_of
from shared.schemas import BranchReport, BranchStatus, JobDocument, JobOptions, JobState, Priority
from shared.vitals import Branch


class JobSubmissions:
    """Creates jobs. Safe to share between threads."""

    def __init__(self, client: redis.Redis, result_ttl_s: int) -> None:
        self._redis: Any = client
        self._ttl_s = result_ttl_s

    def create(
        self,
        job_id: str,
        branches: list[Branch],
        options: JobOptions,
        *,
        owner: str,
        clip_key: str,
        deadline_s: float,
        max_active: int | None = None,
        max_waiting: Mapping[Branch, int] | None = None,
        clip_bytes: int = 0,
        max_batch_bytes: int | None = None,
        encryption_key: ClipKey | None = None,
        traceparent: str = "",
    ) -> JobDocument | None:
        """Write a new record and queue its branches, in one step. All work on it must be over after `deadline_s`.

        Returns None where `max_active` interactive jobs are unfinished already, one of its queues holds `max_waiting`
        messages, or the clips of batch jobs would have more than `max_batch_bytes` with this one's `clip_bytes`.
        """
        priority = options.priority
        fields = {"options": options.model_dump_json(), "owner": owner, "clip_key": clip_key}
        if encryption_key:
            fields["seal"] = encryption_key.text
        if traceparent:
            fields["traceparent"] = traceparent
        if options.webhook_url:
            fields["webhook_id"] = new_id()
        created = CreateJob(
            record=record_key(job_id),
            events=events_key(job_id),
            deadlines=DEADLINES,
            active=active_key(owner, priority),
            batch=BATCH,
            batch_bytes=BATCH_BYTES,
            usage=usage_of(owner, broker_time(self._redis)),
            usage_ttl_s=USAGE_TTL_S,
            job_id=job_id,
            ttl_s=self._ttl_s + int(deadline_s),
            deadline_s=deadline_s,
            max_active=-1 if max_active is None else max_active,
            is_batch=priority is Priority.BATCH,
            clip_bytes=clip_bytes,
            max_batch_bytes=-1 if max_batch_bytes is None else max_batch_bytes,
            branches=tuple(branches),
            queues=tuple(queue_key(branch, priority) for branch in branches),
            waiting=tuple(waiting_key(branch, priority) for branch in branches),
            messages=tuple(message(branch, job_id, priority) for branch in branches),
            max_waiting=tuple((max_waiting or {}).get(branch, -1) for branch in branches),
            record_fields=tuple(text for field in fields.items() for text in field),
        ).run(self._redis)
        if not created:
            return None
        pending = {branch: BranchReport(status=BranchStatus.PENDING) for branch in branches}
        return unfinished_document(job_id, JobState.QUEUED, moment(float(created)), pending)
