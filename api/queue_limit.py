"""The limit of the queues: an upload that would wait too long is refused before its body is read, with a `Retry-After`.

Batch jobs may wait: their uploads are limited by the size of their clips in the store and by the broker's memory, and
they count towards no limit of interactive jobs.

The lengths of the queues and the broker's memory are read at most every `READING_S`. The script that creates a job
checks the lengths again.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from api.problems import QueueFull, broker_full
from shared.jobs.job_store import JobStore
from shared.jobs.records import BatchJobs
from shared.jobs.waiting import QueueLoad, jobs_before, queue_loads
from shared.schemas import Priority
from shared.settings import Settings
from shared.vitals import Branch

#: Longest use of a reading, seconds.
READING_S: Final = 0.5
#: The same for a reading that refuses uploads. It bounds the broker's load when many uploads are refused.
REFUSAL_S: Final = 0.05
#: Part of the broker's `maxmemory` above which uploads are refused; the rest is for the jobs that were accepted.
FULL_SHARE: Final = 0.9
#: The same for uploads of batch jobs, which would otherwise use up what interactive ones need.
BATCH_FULL_SHARE: Final = 0.75
#: `Retry-After` of a batch job's upload, seconds.
BATCH_RETRY_S: Final = 60


@dataclass(frozen=True)
class BrokerMemory:
    """The broker's memory in bytes: used, and the maximum (0: unlimited)."""

    used: int
    maximum: int

    @property
    def is_short(self) -> bool:
        """Whether uploads are refused."""
        return self.exceeds(FULL_SHARE)

    def exceeds(self, share: float) -> bool:
        """Return whether this share of the maximum is used."""
        return self.maximum > 0 and self.used >= share * self.maximum


def broker_memory(redis: Any) -> BrokerMemory:  # noqa: ANN401  (redis-py's types)
    """Read the broker's memory."""
    facts = redis.info("memory")
    return BrokerMemory(int(facts["used_memory"]), int(facts.get("maxmemory", 0)))


@dataclass(frozen=True)
class _Reading:
    active: int
    memory: BrokerMemory
    batch: BatchJobs
    all_loads: dict[Priority, dict[Branch, QueueLoad]]

    @property
    def loads(self) -> dict[Branch, QueueLoad]:
        """The loads of the queues for interactive jobs."""
        return self.all_loads[Priority.INTERACTIVE]

    @property
    def slowest_s(self) -> float:
        """Seconds by which one waiting message delays the next, in the slowest queue."""
        return max((load.seconds_each for load in self.loads.values()), default=1.0)


class QueueLimit:
    """Decides whether an upload is accepted, by the lengths of the queues and the broker's memory."""

    def __init__(self, jobs: JobStore, settings: Settings) -> None:
        self._jobs = jobs
        self._most_active, self._max_wait_s = settings.max_queued, settings.max_wait_s
        self._max_batch_bytes = settings.max_batch_bytes
        self._wait_limit_s = settings.wait_limit_s
        self._read_at = -READING_S
        self._reading: _Reading | None = None
        self._next_place_at = 0.0

    async def check(self, branches: Iterable[Branch], priority: Priority = Priority.INTERACTIVE) -> None:
        """Check that an upload for these branches can be accepted.

        Raises:
            QueueFull: its job would wait too long, too many jobs are unfinished, or too many batch clips stored.
            BrokerFull: the broker's memory is nearly used up.
            redis.exceptions.RedisError: the broker is away.
        """
        if priority is Priority.BATCH:
            await self._check_batch()
            return
        reading = self._reading
        # A refusal expires sooner, so that a free place is soon available.
        refuses = reading is not None and (reading.memory.is_short or self._obstacle(reading, branches) is not None)
        reading = await self._reading_within(REFUSAL_S if refuses else READING_S)
        if reading.memory.is_short:
            raise broker_full()
        if obstacle := self._obstacle(reading, branches):
            raise self._queue_full(obstacle)

    async def _check_batch(self) -> None:
        reading = await self._reading_within(READING_S)
        if reading.memory.exceeds(BATCH_FULL_SHARE):
            raise broker_full()
        if reading.batch.clip_bytes >= self._max_batch_bytes:
            raise self.full(Priority.BATCH)

    async def expected_wait_s(self, job_id: str) -> float | None:
        """Return the expected seconds until all work of a job has begun; None where none waits, or no worker serves it.

        Raises:
            redis.exceptions.RedisError: the broker is away.
        """
        place = await run_in_threadpool(jobs_before, self._jobs.redis, job_id)
        if place is None:
            return None
        priority, before = place
        loads = (await self._reading_within(READING_S)).all_loads[priority]
        if not all(loads[branch].served for branch in before):
            return None
        return round(max(loads[branch].wait_behind_s(jobs) for branch, jobs in before.items()), 1)

    async def _reading_within(self, age_s: float) -> _Reading:
        """The last reading, or a new one if that is `age_s` old."""
        now = time.monotonic()
        reading = self._reading
        if reading is None or now - self._read_at >= age_s:
            self._reading = reading = await run_in_threadpool(self._read)
            self._read_at = now
        return reading

    def _read(self) -> _Reading:
        redis, records = self._jobs.redis, self._jobs.records
        batch = records.batch()
        loads = {priority: queue_loads(redis, priority) for priority in Priority}
        return _Reading(records.active() - batch.jobs, broker_memory(redis), batch, loads)

    def max_waiting(self) -> dict[Branch, int]:
        """Return how many messages may wait in each queue, by the last reading."""
        loads = self._reading.loads if self._reading else {}
        return {branch: load.max_waiting(self._max_wait_s) for branch, load in loads.items()}

    def _obstacle(self, reading: _Reading, branches: Iterable[Branch]) -> "_Obstacle | None":
        if reading.active >= self._most_active:
            return _Obstacle(f"{reading.active} jobs are unfinished.", reading.slowest_s, reading.slowest_s)
        for branch in branches:
            load = reading.loads[branch]
            if load.waiting >= (most := load.max_waiting(self._max_wait_s)):
                why = f"{load.waiting} clips are waiting; the next one would wait about {load.expected_wait_s:.0f} s."
                return _Obstacle(why, (load.waiting - most + 1) * load.seconds_each, load.seconds_each)
        return None

    def full(self, priority: Priority = Priority.INTERACTIVE) -> QueueFull:
        """Return the problem of an upload whose place was taken while its clip was sent."""
        if priority is Priority.BATCH:
            limit = f"Clips of batch jobs may take {self._max_batch_bytes / 1e6:,.0f} MB, and those that wait do."
            return QueueFull(f"{limit} Try again when some have ended.", headers={"Retry-After": str(BATCH_RETRY_S)})
        each_s = self._reading.slowest_s if self._reading else 1.0
        return self._queue_full(_Obstacle("The last place was taken a moment ago.", each_s, each_s))

    def _queue_full(self, obstacle: "_Obstacle") -> QueueFull:
        # Each refused client gets another time: if all of them returned when the first place becomes free, all but one
        # would be refused again. No time is later than the end of everything that waits now.
        wait_s = min(obstacle.wait_s, self._wait_limit_s)
        now = time.monotonic()
        at = min(max(now + wait_s, self._next_place_at), now + max(self._max_wait_s, wait_s))
        self._next_place_at = at + obstacle.each_s
        retry_s = max(1, math.ceil(at - now))
        return QueueFull(f"{obstacle.why} Try again in {retry_s} s.", headers={"Retry-After": str(retry_s)})


@dataclass(frozen=True)
class _Obstacle:
    """Why an upload is refused, the seconds until a place becomes free, and those until the next one does."""

    why: str
    wait_s: float
    each_s: float
