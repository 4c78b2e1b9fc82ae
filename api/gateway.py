"""What one gateway process holds: records, store, queue and the hub that wakes waiting clients."""

import datetime as dt
from dataclasses import dataclass

from celery import Celery
from fastapi import Request
from kombu.exceptions import OperationalError
from starlette.concurrency import run_in_threadpool

from api.hub import Hub
from api.problems import BrokerAway
from shared.queues import QUEUES, TASKS
from shared.records import JobRecords
from shared.settings import Settings
from shared.store import ClipStore
from shared.vitals import Branch


@dataclass(frozen=True)
class Gateway:
    """Handed to every endpoint."""

    settings: Settings
    records: JobRecords
    store: ClipStore
    celery: Celery
    hub: Hub

    def enqueue(self, job_id: str, branch: Branch) -> None:
        """Send one branch of a job to its queue (blocking).

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

    async def enqueue_all(self, job_id: str, branches: list[Branch]) -> None:
        """Send all branches of a job to their queues."""
        for branch in branches:
            await run_in_threadpool(self.enqueue, job_id, branch)


def gateway_of(request: Request) -> Gateway:
    """The gateway behind this request."""
    gateway: Gateway = request.app.state.gateway
    return gateway
