"""Notifies the requests of this process that wait for a job when the job changes.

One connection subscribes to the broker's channel for all of them; a request that is notified reads the job's own stream
from its last position. Notifications that are lost while the broker is away delay a request by at most `RECHECK_S`.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import redis.asyncio
import redis.exceptions

from shared.jobs.broker_errors import failure_log
from shared.jobs.keys import WAKE_CHANNEL

#: Longest delay of a request by a lost notification, seconds.
RECHECK_S: Final = 5.0


class JobNotifier:
    """Notifies waiting requests by job id."""

    def __init__(self, redis_url: str) -> None:
        # No read time-out: the channel may be idle. Health checks detect a dead connection.
        self._redis = redis.asyncio.Redis.from_url(
            redis_url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=None,
            health_check_interval=10,
        )
        self._waiters: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of waiting requests."""
        return sum(len(events) for events in self._waiters.values())

    async def start(self) -> None:
        """Subscribe to the channel."""
        self._task = asyncio.create_task(self._listen(), name="job notifier")

    async def stop(self) -> None:
        """Unsubscribe and notify every waiting request."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._wake_all()
        await self._redis.aclose()

    @contextlib.contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """Provide an event that is set whenever the job changes. Clear it before reading the job."""
        event = asyncio.Event()
        self._waiters[job_id].add(event)
        try:
            yield event
        finally:
            self._waiters[job_id].discard(event)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def _wake_all(self) -> None:
        for events in list(self._waiters.values()):
            for event in events:
                event.set()

    async def _listen(self) -> None:
        away_s = 0.0
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(WAKE_CHANNEL)
                    self._wake_all()
                    away_s = 0.0
                    while True:
                        message = await channel.get_message(ignore_subscribe_messages=True, timeout=RECHECK_S)
                        if message:
                            for event in self._waiters.get(message["data"], ()):
                                event.set()
            except (redis.exceptions.RedisError, OSError) as error:
                failure_log.warn("job notifier lost the broker", error)
                away_s = min(away_s + 0.2, 2.0)
                await asyncio.sleep(away_s)


async def wait_for(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until the event is set, for at most `timeout_s`; return whether it was set."""
    try:
        async with asyncio.timeout(max(timeout_s, 0)):
            await event.wait()
    except TimeoutError:
        return False
    return True
