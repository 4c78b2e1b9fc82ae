"""Counts that every release and process adds to, in one hash of the broker."""

from typing import Any, Final

import redis

from shared.jobs.celery_messages import Dropped
from shared.jobs.keys import COUNTERS, COUNTERS_TTL_S

#: The prefix under which dropped messages are counted.
DROPPED: Final = "dropped"
#: The prefix under which rejected clips are counted, by error code.
REJECTED: Final = "rejected"


class Counters:
    """Counts of ended jobs, vitals, rejected clips, webhooks and dropped messages. Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def read(self) -> dict[str, int]:
        """Return every count by its name, such as `jobs:succeeded`."""
        return {name: int(value) for name, value in self._redis.hgetall(COUNTERS).items()}

    def count_dropped(self, queue: str, why: Dropped) -> None:
        """Count a message that was taken from a queue and dropped."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hincrby(COUNTERS, f"{DROPPED}:{queue}:{why}", 1)
            pipe.expire(COUNTERS, COUNTERS_TTL_S)
            pipe.execute()
