"""Paused queues: gateways accept no new work for them, and workers finish what waits.

A pause is a key of the broker: every gateway sees it at once, it survives restarts, and it ends by itself.
"""

from collections.abc import Iterable
from typing import Any, Final

from shared.jobs.keys import pause_key
from shared.jobs.queues import QUEUES
from shared.vitals import Branch

#: Longest pause, seconds. A pause that is forgotten ends.
MAX_PAUSE_S: Final = 7 * 86_400


def pause(client: Any, branch: Branch, for_s: int) -> None:  # noqa: ANN401  (redis-py's types)
    """Pause the queue of a branch for `for_s` seconds from now, also one that is paused already.

    Raises:
        ValueError: `for_s` is below 1 or above `MAX_PAUSE_S`.
        redis.exceptions.RedisError: the broker is away.
    """
    if not 1 <= for_s <= MAX_PAUSE_S:
        raise ValueError(f"A pause lasts from 1 to {MAX_PAUSE_S} s, not {for_s} s.")
    client.set(pause_key(branch), "1", ex=for_s)


def resume(client: Any, branch: Branch) -> bool:  # noqa: ANN401
    """End the pause of a branch's queue; returns whether it was paused.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    return bool(client.delete(pause_key(branch)))


def paused(client: Any, branches: Iterable[Branch] = tuple(QUEUES)) -> dict[Branch, int]:  # noqa: ANN401
    """Return which of these branches' queues are paused, with the seconds until each pause ends, at least 1.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    wanted = list(branches)
    with client.pipeline(transaction=False) as pipe:
        for branch in wanted:
            pipe.ttl(pause_key(branch))
        left = pipe.execute()
    # Without an end: another program wrote it. It counts as the longest pause.
    seconds = {branch: MAX_PAUSE_S if ttl_s == -1 else ttl_s for branch, ttl_s in zip(wanted, left, strict=True)}
    return {branch: max(1, ttl_s) for branch, ttl_s in seconds.items() if ttl_s >= 0}
