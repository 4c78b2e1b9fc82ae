"""What one gateway process holds: records, store, admission and the hub that wakes waiting clients."""

from dataclasses import dataclass

import structlog
from fastapi import Request

from api.admission import Admission
from api.hub import Hub
from shared.clips.encryption import ClipKey
from shared.clips.store import ClipStore
from shared.jobs.assembly import branches_for
from shared.jobs.records import JobRecords
from shared.observability import tracing
from shared.schemas import JobDocument, JobOptions
from shared.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True)
class Gateway:
    """Handed to every endpoint."""

    settings: Settings
    records: JobRecords
    store: ClipStore
    hub: Hub
    admission: Admission

    def accept(
        self, job_id: str, options: JobOptions, owner: str, encryption_key: ClipKey | None = None
    ) -> JobDocument:
        """Make the job of a stored clip and queue its branches (blocking).

        Raises:
            QueueFull: no job more may wait.
            redis.exceptions.RedisError: the broker is away or full.
        """
        branches = branches_for(options.vitals)
        document = self.records.create(
            job_id,
            branches,
            options,
            owner=owner,
            clip_key=self.store.key(job_id),
            deadline_s=self.settings.longest_job_s,
            most_active=self.settings.max_queued,
            most_waiting=self.admission.most_waiting(),
            encryption_key=encryption_key,
            traceparent=tracing.traceparent(),
        )
        if document is None:
            raise self.admission.full()
        tracing.set_attributes(job=job_id)
        log.info("job accepted", job=job_id, branches=[str(name) for name in branches])
        return document


def gateway_in(request: Request) -> Gateway:
    """The gateway behind this request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


async def gateway_of(request: Request) -> Gateway:
    """The same as a dependency; asynchronous, since FastAPI sends others through a thread."""
    return gateway_in(request)
