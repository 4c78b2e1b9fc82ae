"""Overdue jobs and branches: their process died, their time is over, or their message was lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import redis

from shared.jobs.celery_messages import message, queue_key
from shared.jobs.connection import broker_time
from shared.jobs.keys import (
    DEADLINES,
    ERASE,
    LEASES,
    READY,
    WORKING,
    Key,
    parse_claim,
    record_key,
    waiting_key,
    waiting_keys,
)
from shared.jobs.leases import LEASE_S, MAX_TRIES
from shared.jobs.scripts.sweep import Requeue, RetryBranch, TakeLostClaims, TakeStranded
from shared.jobs.waiting import first_waiting
from shared.schemas import Priority
from shared.vitals import Branch

#: A branch that no worker has begun, so long after later ones were taken, was lost with the worker that took it.
STRANDED_S: Final = 10.0
#: An assembler or eraser that has not finished after this long counts as dead.
GRACE_S: Final = 2.0
#: Largest number of members of a list that one sweep reads.
LIMIT: Final = 500


@dataclass(frozen=True)
class LostTry:
    """A branch whose worker stopped renewing its lease; `again`: whether a try is left."""

    job_id: str
    branch: Branch
    again: bool


class OverdueJobs:
    """Lists what is overdue. Safe to share between threads and, each step being atomic, between gateways."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def _due(self, key: Key, before: float) -> list[str]:
        return list(self._redis.zrangebyscore(key, "-inf", before, start=0, num=LIMIT))

    def past_deadline(self) -> list[str]:
        """Return jobs whose deadline has passed."""
        return self._due(DEADLINES, broker_time(self._redis))

    def past_work_limit(self) -> Iterator[tuple[str, Branch]]:
        """Yield branches that a worker began and did not end within the time for work."""
        for member in self._due(WORKING, broker_time(self._redis)):
            if claim := parse_claim(member):
                yield claim

    def past_wait_limit(self, branch: Branch, wait_s: float, priority: Priority = Priority.INTERACTIVE) -> list[str]:
        """Return jobs of a priority whose branch no worker has begun for `wait_s` seconds."""
        limit = broker_time(self._redis) - wait_s
        job_ids = self._due(waiting_key(branch, priority), limit)
        if not job_ids:
            return []
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(record_key(job_id), f"waits_since:{branch}")
            since = pipe.execute()
        # A branch whose worker was lost waits again since then.
        return [job_id for job_id, at in zip(job_ids, since, strict=True) if at is None or float(at) <= limit]

    def unassembled(self) -> list[str]:
        """Return jobs all of whose outcomes were written, but whose assembler seems dead."""
        return self._due(READY, broker_time(self._redis) - GRACE_S)

    def unerased(self) -> list[str]:
        """Return clips of ended jobs that are still to be erased."""
        return self._due(ERASE, broker_time(self._redis) - GRACE_S)

    def lost_tries(self) -> Iterator[LostTry]:
        """Yield branches whose worker stopped renewing its lease, after queueing those again that have a try left."""
        for member in TakeLostClaims(leases=LEASES, hold_s=LEASE_S).run(self._redis):
            if (claim := parse_claim(member)) is None:
                continue
            job_id, branch = claim
            reply = RetryBranch(
                record=record_key(job_id),
                leases=LEASES,
                working=WORKING,
                job_id=job_id,
                branch=branch,
                max_tries=MAX_TRIES,
                waiting=waiting_keys(branch),
                queues=tuple(queue_key(branch, priority) for priority in Priority),
                messages=tuple(message(branch, job_id, priority) for priority in Priority),
            ).run(self._redis)
            if reply:
                yield LostTry(job_id, branch, again=reply == 1)

    def stranded(self, branch: Branch, priority: Priority = Priority.INTERACTIVE) -> list[str]:
        """Return jobs whose message is gone though no worker began the branch; each is returned once per `STRANDED_S`.

        A worker that dies between taking a message and beginning the branch keeps the message until Celery's visibility
        timeout, which is far longer than a client waits. Queues are first in, first out: what is older than the message
        that is taken next was taken before.
        """
        horizon = broker_time(self._redis) - STRANDED_S
        if (first := first_waiting(self._redis, branch, priority)) is not None:
            horizon = min(horizon, first - 1e-3)
        elif priority is Priority.BATCH and self._redis.llen(queue_key(branch, priority)):
            # Messages of other programs or releases are at the head. They may stay for hours, and what is behind them
            # is not lost.
            return []
        job_ids = self._due(waiting_key(branch, priority), horizon)
        if not job_ids:
            return []
        return TakeStranded(
            waiting=waiting_key(branch, priority),
            branch=branch,
            horizon=horizon,
            hold_s=STRANDED_S,
            job_ids=tuple(job_ids),
            records=tuple(map(record_key, job_ids)),
        ).run(self._redis)

    def requeue(self, job_id: str, branch: Branch, priority: Priority = Priority.INTERACTIVE) -> None:
        """Send a branch's message once more, to the head of its queue. A second message does no harm."""
        Requeue(queue=queue_key(branch, priority), message=message(branch, job_id, priority)).run(self._redis)

    def drop(self, job_id: str, branch: Branch, priority: Priority) -> None:
        """Remove a branch's message from its queue, where no worker may come to do so."""
        self._redis.lrem(queue_key(branch, priority), -1, message(branch, job_id, priority))
