"""Whether an upload has a chance: one that has none is refused before its body is read, and is given a time to return.

A reading of the queues and of the broker's memory serves for a moment; the job record's creation counts again, at that
very moment.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from api.problems import QueueFull, broker_full
from shared.jobs.records import JobRecords
from shared.jobs.waiting import QueueLoad, queue_loads
from shared.settings import Settings
from shared.vitals import Branch

#: Age up to which a reading serves, seconds.
READING_S: Final = 0.5
#: The same of a reading that refuses; a crowd that is refused must not keep the broker busy with questions.
REFUSAL_S: Final = 0.05
#: The part of the broker's `maxmemory` from which on uploads are refused: the rest is for the jobs that were accepted.
FULL_SHARE: Final = 0.9


@dataclass(frozen=True)
class BrokerMemory:
    """Bytes of the broker's memory: used, and the most that it may use (0: any)."""

    used: int
    most: int

    @property
    def is_short(self) -> bool:
        """Whether uploads are refused for it."""
        return self.most > 0 and self.used >= FULL_SHARE * self.most


def broker_memory(redis: Any) -> BrokerMemory:  # noqa: ANN401  (redis-py's types)
    """What the broker says of its memory."""
    facts = redis.info("memory")
    return BrokerMemory(int(facts["used_memory"]), int(facts.get("maxmemory", 0)))


@dataclass(frozen=True)
class _Reading:
    active: int
    memory: BrokerMemory
    loads: dict[Branch, QueueLoad]

    @property
    def slowest_s(self) -> float:
        """Seconds that a waiting message adds to the wait of the next, in the slowest queue."""
        return max((load.seconds_each for load in self.loads.values()), default=1.0)


class Admission:
    """Reads queues and broker, seldom, and says who may come in."""

    def __init__(self, records: JobRecords, settings: Settings) -> None:
        self._records = records
        self._most_active, self._max_wait_s = settings.max_queued, settings.max_wait_s
        self._wait_limit_s = settings.wait_limit_s
        self._read_at = -READING_S
        self._reading: _Reading | None = None
        self._next_place_at = 0.0

    async def check(self, branches: Iterable[Branch]) -> None:
        """Let an upload for these branches in.

        Raises:
            QueueFull: its job would wait for too long, or too many jobs are unfinished.
            BrokerFull: the broker's memory is nearly used up.
            redis.exceptions.RedisError: the broker is away.
        """
        now = time.monotonic()
        reading = self._reading
        # A refusal is soon read anew: whoever comes as a place falls free shall have it.
        refuses = reading is not None and (reading.memory.is_short or self._obstacle(reading, branches) is not None)
        if reading is None or now - self._read_at >= (REFUSAL_S if refuses else READING_S):
            self._reading = reading = await run_in_threadpool(self._read)
            self._read_at = now
        if reading.memory.is_short:
            raise broker_full()
        if obstacle := self._obstacle(reading, branches):
            raise self._queue_full(obstacle)

    def _read(self) -> _Reading:
        records = self._records
        return _Reading(records.active(), broker_memory(records.redis), queue_loads(records))

    def most_waiting(self) -> dict[Branch, int]:
        """How many messages may wait in each queue, by the last reading."""
        loads = self._reading.loads if self._reading else {}
        return {branch: load.most_waiting(self._max_wait_s) for branch, load in loads.items()}

    def _obstacle(self, reading: _Reading, branches: Iterable[Branch]) -> "_Obstacle | None":
        if reading.active >= self._most_active:
            return _Obstacle(f"{reading.active} jobs are unfinished.", reading.slowest_s, reading.slowest_s)
        for branch in branches:
            load = reading.loads[branch]
            if load.waiting >= (most := load.most_waiting(self._max_wait_s)):
                why = f"{load.waiting} clips wait, the next one for about {load.expected_wait_s:.0f} s."
                return _Obstacle(why, (load.waiting - most + 1) * load.seconds_each, load.seconds_each)
        return None

    def full(self) -> QueueFull:
        """The refusal where the last place was taken while the clip was on its way."""
        each_s = self._reading.slowest_s if self._reading else 1.0
        return self._queue_full(_Obstacle("The last place was taken a moment ago.", each_s, each_s))

    def _queue_full(self, obstacle: "_Obstacle") -> QueueFull:
        # Each client that is refused is given a moment of its own: all of them at the first place that falls free would
        # find it taken. Once all that waits now is done there is room for everybody.
        # However slow the work is, what waits now is over by the end of its wait.
        wait_s = min(obstacle.wait_s, self._wait_limit_s)
        now = time.monotonic()
        at = min(max(now + wait_s, self._next_place_at), now + max(self._max_wait_s, wait_s))
        self._next_place_at = at + obstacle.each_s
        retry_s = max(1, math.ceil(at - now))
        return QueueFull(f"{obstacle.why} Try again in {retry_s} s.", headers={"Retry-After": str(retry_s)})


@dataclass(frozen=True)
class _Obstacle:
    """Why there is no place, the seconds until one falls free, and those until the next one does."""

    why: str
    wait_s: float
    each_s: float
