"""Expected wait of a new job, by the waiting messages, the time that work takes, and the running workers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.jobs.celery_messages import job_of, queue_key
from shared.jobs.connection import broker_time
from shared.jobs.keys import PACE, waiting_key
from shared.jobs.worker_registry import WorkerCard, worker_cards
from shared.vitals import Branch

#: Time of work on one branch until some was measured, seconds: that of two workers on two slow cores.
ASSUMED_WORK_S: Final = 5.0
#: A queue from which nothing was begun for so long, and for so many times the work on a branch, stands still. A worker
#: that replaces its process is away for less.
STANDSTILL_S: Final = 60.0
STANDSTILL_WORKS: Final = 3.0
#: Messages of other programs that are skipped, at most, in the search for a queue's next job.
MAX_FOREIGN: Final = 20


@dataclass(frozen=True)
class QueueLoad:
    """One queue: messages that wait, and the seconds that each of them adds to the wait of the next.

    `served` is whether a worker takes messages from it.
    """

    waiting: int
    seconds_each: float
    served: bool = True

    @property
    def expected_wait_s(self) -> float:
        """The expected wait of a new job, seconds."""
        return self.waiting * self.seconds_each

    def max_waiting(self, wait_s: float) -> int:
        """Return how many may wait so that none waits longer than `wait_s`; at least one."""
        return max(1, math.floor(wait_s / self.seconds_each))


def seconds_each(branch: Branch, work_s: Mapping[Branch, float], cards: Iterable[WorkerCard]) -> float:
    """Return what one waiting message of `branch` adds to the wait of the next, seconds.

    A process that serves several queues gives each of them a part of its time, as much as their work takes: jobs mostly
    wait in all of them. Without any worker, one is assumed: uploads wait for it, and autoscalers need to see them.
    """
    capacity = 0.0
    for card in cards:
        served = [each for each in work_s if each.value in card.queues]
        if branch in served:
            capacity += work_s[branch] / sum(work_s[each] for each in served)
    return work_s[branch] / (capacity or 1.0)


def queue_loads(client: Any) -> dict[Branch, QueueLoad]:  # noqa: ANN401  (redis-py's types)
    """Return the load of every branch's queue as it is now.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    pace = client.hgetall(PACE)
    work_s = {branch: float(pace.get(f"work:{branch}") or ASSUMED_WORK_S) for branch in Branch}
    cards = worker_cards(client)
    loads = {}
    for branch in Branch:
        waiting, each = int(client.llen(queue_key(branch))), seconds_each(branch, work_s, cards)
        if waiting:
            standstill_s = min(oldest_s(client, branch), idle_s(client, branch))
            if standstill_s > max(STANDSTILL_S, STANDSTILL_WORKS * each):
                each = standstill_s
        served = any(branch.value in card.queues for card in cards)
        loads[branch] = QueueLoad(waiting, max(each, 1e-3), served)
    return loads


def jobs_before(client: Any, job_id: str) -> dict[Branch, int]:  # noqa: ANN401
    """Return how many jobs are taken before this one, for each branch in which it still waits."""
    with client.pipeline(transaction=False) as pipe:
        for branch in Branch:
            pipe.zrank(waiting_key(branch), job_id)
        places = pipe.execute()
    return {branch: int(place) for branch, place in zip(Branch, places, strict=True) if place is not None}


def first_waiting(client: Any, branch: Branch) -> float | None:  # noqa: ANN401
    """Return when the job was created whose message is taken next, seconds since the epoch; None if none waits."""
    for text in reversed(client.lrange(queue_key(branch), -MAX_FOREIGN, -1)):
        job_id = job_of(text)
        created = client.zscore(waiting_key(branch), job_id) if job_id else None
        if created is not None:
            return float(created)
    return None


def oldest_s(client: Any, branch: Branch) -> float:  # noqa: ANN401
    """Return for how long the job has waited whose message is taken next, seconds; 0 where none waits."""
    first = first_waiting(client, branch)
    return 0.0 if first is None else max(broker_time(client) - first, 0.0)


def idle_s(client: Any, branch: Branch) -> float:  # noqa: ANN401
    """Return the seconds since a worker last began this branch of any job; infinite where none ever did."""
    begun = client.hget(PACE, f"begun:{branch}")
    return math.inf if begun is None else max(broker_time(client) - float(begun), 0.0)
