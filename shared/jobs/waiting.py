"""How long a new job would wait for a worker, from what waits, how long work takes, and who is there to do it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.jobs.celery_messages import queue_key
from shared.jobs.records import PACE, JobRecords
from shared.jobs.worker_registry import WorkerCard, worker_cards
from shared.vitals import Branch

#: Work on one branch until some was measured, seconds: what two workers take that share two slow cores.
ASSUMED_WORK_S: Final = 5.0
#: A queue from which nothing was begun for so long, and for so many times the work on a branch, stands still. A worker
#: that renews its process is away for less.
STANDSTILL_S: Final = 60.0
STANDSTILL_WORKS: Final = 3.0


@dataclass(frozen=True)
class QueueLoad:
    """One queue: messages that wait, and the seconds that each of them adds to the wait of the next."""

    waiting: int
    seconds_each: float

    @property
    def expected_wait_s(self) -> float:
        """The wait of a job that comes now."""
        return self.waiting * self.seconds_each

    def most_waiting(self, wait_s: float) -> int:
        """How many may wait so that none waits longer than `wait_s`; at least one."""
        return max(1, math.floor(wait_s / self.seconds_each))


def seconds_each(branch: Branch, work_s: Mapping[Branch, float], cards: Iterable[WorkerCard]) -> float:
    """What one waiting message of `branch` adds to the wait of the next, seconds.

    A process that serves several queues gives each of them a part of its time, as much as their work takes: jobs mostly
    wait in all of them. Without any worker one counts as there: uploads wait for it, and autoscalers need to see them.
    """
    capacity = 0.0
    for card in cards:
        served = [each for each in work_s if each.value in card.queues]
        if branch in served:
            capacity += work_s[branch] / sum(work_s[each] for each in served)
    return work_s[branch] / (capacity or 1.0)


def queue_loads(records: JobRecords) -> dict[Branch, QueueLoad]:
    """Every branch's queue as it is now. Queues and branches have the same names.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    redis: Any = records.redis
    pace = redis.hgetall(PACE)
    work_s = {branch: float(pace.get(f"work:{branch}") or ASSUMED_WORK_S) for branch in Branch}
    cards = worker_cards(redis)
    loads = {}
    for branch in Branch:
        waiting, each = int(redis.llen(queue_key(branch))), seconds_each(branch, work_s, cards)
        if waiting:
            idle_s = min(records.oldest_s(branch), records.idle_s(branch))
            if idle_s > max(STANDSTILL_S, STANDSTILL_WORKS * each):
                each = idle_s
        loads[branch] = QueueLoad(waiting, max(each, 1e-3))
    return loads
