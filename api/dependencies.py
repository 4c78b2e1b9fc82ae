"""Dependencies of the endpoints: the jobs, store, queue limit and notifier of this gateway process."""

from dataclasses import dataclass

import structlog
from fastapi import Request

from api import queue_pause
from api.job_notifier import JobNotifier
from api.queue_limit import QueueLimit
from shared.clips.encryption import ClipKey
from shared.clips.store import ClipStore
from shared.jobs.assembly import branches_for
from shared.jobs.job_store import JobStore
from shared.jobs.records import JobRecords
from shared.observability import tracing
from shared.schemas import JobDocument, JobOptions, Priority
from shared.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True)
class Gateway:
    """The parts of one gateway process."""

    settings: Settings
    jobs: JobStore
    store: ClipStore
    notifier: JobNotifier
    queue_limit: QueueLimit

    @property
    def records(self) -> JobRecords:
        """The jobs' records."""
        return self.jobs.records

    def accept(
        self, job_id: str, options: JobOptions, owner: str, encryption_key: ClipKey | None = None, clip_bytes: int = 0
    ) -> JobDocument:
        """Create the job of a stored clip and queue its branches (blocking).

        Raises:
            QueuePaused: a queue is paused.
            QueueFull: the queue has no place left.
            redis.exceptions.RedisError: the broker is away or full.
        """
        branches, settings = branches_for(options.vitals), self.settings
        is_batch = options.priority is Priority.BATCH
        # A queue may have been paused while the clip was sent.
        queue_pause.check(self.jobs.redis, branches)
        document = self.jobs.submissions.create(
            job_id,
            branches,
            options,
            owner=owner,
            clip_key=self.store.key(job_id),
            deadline_s=settings.longest_batch_s if is_batch else settings.longest_job_s,
            max_active=None if is_batch else settings.max_queued,
            max_waiting=None if is_batch else self.queue_limit.max_waiting(),
            clip_bytes=clip_bytes,
            max_batch_bytes=settings.max_batch_bytes if is_batch else None,
            encryption_key=encryption_key,
            traceparent=tracing.traceparent(),
        )
        if document is None:
            raise self.queue_limit.full(options.priority)
        tracing.set_attributes(job=job_id)
        log.info("job accepted", job=job_id, branches=[str(name) for name in branches], priority=str(options.priority))
        return document


def gateway_in(request: Request) -> Gateway:
    """Return the gateway that serves this request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


async def gateway_of(request: Request) -> Gateway:
    """Return the gateway, as a dependency. Asynchronous, because FastAPI runs the others in a thread."""
    return gateway_in(request)
