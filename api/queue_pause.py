"""Uploads for a paused queue are refused, before their body is read and again before their job is created."""

from collections.abc import Iterable
from typing import Final

from starlette.concurrency import run_in_threadpool

from api.dependencies import Gateway
from api.problems import QueuePaused
from shared.jobs.pauses import paused
from shared.jobs.queues import QUEUES
from shared.vitals import Branch

#: Largest `Retry-After`, seconds: an operator may end a pause before its time.
MAX_RETRY_S: Final = 300


async def check(gateway: Gateway, branches: Iterable[Branch]) -> None:
    """Check that none of these branches' queues is paused.

    Raises:
        QueuePaused: one is.
        redis.exceptions.RedisError: the broker is away.
    """
    found = await run_in_threadpool(paused, gateway.jobs.redis, branches)
    if not found:
        return
    names, retry_s = ", ".join(QUEUES[branch] for branch in found), min(max(found.values()), MAX_RETRY_S)
    detail = f"The operator has paused {names}; accepted jobs are still finished. Try again in {retry_s} s."
    raise QueuePaused(detail, headers={"Retry-After": str(retry_s)})
