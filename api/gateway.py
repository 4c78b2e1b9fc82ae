"""What one gateway process holds: records, store, queue and the hub that wakes waiting clients."""

import datetime as dt
from dataclasses import dataclass

import structlog
from celery import Celery
from fastapi import Request
from kombu.exceptions import OperationalError

from api.admission import Admission
from api.hub import Hub
from api.problems import BrokerAway, QueueFull
from shared import traces
from shared.assembly import branches_for
from shared.queues import QUEUES, TASKS
from shared.records import JobRecords
from shared.schemas import JobDocument, JobOptions
from shared.sealing import Seal
from shared.settings import Settings
from shared.store import ClipStore
from shared.vitals import Branch

log = structlog.get_logger()


@dataclass(frozen=True)
class Gateway:
    """Handed to every endpoint."""

    settings: Settings
    records: JobRecords
    store: ClipStore
    celery: Celery
    hub: Hub
    admission: Admission

    def accept(self, job_id: str, options: JobOptions, owner: str, seal: Seal | None = None) -> JobDocument:
        """Make the job of a stored clip and queue its branches (blocking).

        Raises:
            QueueFull: as many jobs are waiting as the settings allow.
            redis.exceptions.RedisError: the broker is away.
        """
        branches = branches_for(options.vitals)
        document = self.records.create(
            job_id,
            branches,
            options,
            owner=owner,
            clip_key=self.store.key(job_id),
            deadline_s=self.settings.job_deadline_s,
            most_active=self.settings.max_queued,
            seal=seal,
            traceparent=traces.traceparent(),
        )
        if document is None:
            raise queue_full(self.settings)
        traces.note(job=job_id)
        log.info("job accepted", job=job_id, branches=[str(name) for name in branches])
        return document

    def enqueue_again(self, job_id: str, branch: Branch) -> None:
        """Send a branch to its queue once more (blocking).

        Raises:
            BrokerAway: the broker does not take it.
        """
        try:
            self.celery.send_task(
                TASKS[branch],
                args=[job_id],
                queue=QUEUES[branch],
                # A message that outlives its job's deadline is dropped unread.
                expires=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.settings.job_deadline_s),
                retry=True,
                retry_policy={"max_retries": 3, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0},
            )
        except OperationalError as error:
            raise BrokerAway(
                "The job was not accepted. Try again in a few seconds.", headers={"Retry-After": "5"}
            ) from error


def queue_full(settings: Settings) -> QueueFull:
    """What a client hears when no more jobs may wait."""
    return QueueFull(f"{settings.max_queued} jobs are waiting. Try again in a while.", headers={"Retry-After": "10"})


def gateway_in(request: Request) -> Gateway:
    """The gateway behind this request."""
    gateway: Gateway = request.app.state.gateway
    return gateway


async def gateway_of(request: Request) -> Gateway:
    """The same as a dependency; asynchronous, since FastAPI sends others through a thread."""
    return gateway_in(request)
