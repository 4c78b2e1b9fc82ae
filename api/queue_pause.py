"""Uploads for a paused queue are refused, before their body is read and again before their job is created."""

from collections.abc import Iterable
from typing import Any, Final

from api.problems import QueuePaused
from shared.jobs.pauses import paused
from shared.jobs.queues import QUEUES
from shared.vitals import Branch

#: Largest `Retry-After`, seconds: an operator may end a pause before its time.
MAX_RETRY_S: Final = 300


def check(client: Any, branches: Iterable[Branch]) -> None:  # noqa: ANN401  (redis-py's types)
    """Check that none of these branches' queues is paused (blocking).

    Raises:
        QueuePaused: one is.
        redis.exceptions.RedisError: the broker is away.
    """
    found = paused(client, branches)
    if not found:
        return
    names, retry_s = ", ".join(QUEUES[branch] for branch in found), min(max(found.values()), MAX_RETRY_S)
    detail = f"The operator has paused {names}; accepted jobs are still finished. Try again in {retry_s} s."
    raise QueuePaused(detail, headers={"Retry-After": str(retry_s)})
