"""Expected wait of a new job, by the waiting messages, the time that work takes, and the running workers.

Interactive jobs do not wait for batch jobs, but for the clip that a worker has begun. Batch jobs wait for both.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.jobs.celery_messages import job_of, queue_key
from shared.jobs.connection import broker_time
from shared.jobs.keys import PACE, waiting_key
from shared.jobs.queues import queue_name
from shared.jobs.worker_registry import WorkerCard, worker_cards
from shared.schemas import Priority
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

    `served` is whether a worker takes messages from it. `behind_s` are the seconds that its workers will spend on the
    interactive jobs that wait, before they take a batch job.
    """

    waiting: int
    seconds_each: float
    served: bool = True
    behind_s: float = 0.0

    @property
    def expected_wait_s(self) -> float:
        """The expected wait of a new job, seconds."""
        return self.wait_behind_s(self.waiting)

    def wait_behind_s(self, jobs: int) -> float:
        """Return the expected wait of a job behind so many others of its priority, seconds."""
        return self.behind_s + jobs * self.seconds_each

    def max_waiting(self, wait_s: float) -> int:
        """Return how many may wait so that none waits longer than `wait_s`; at least one."""
        return max(1, math.floor(wait_s / self.seconds_each))


def seconds_each(
    branch: Branch,
    work_s: Mapping[Branch, float],
    cards: Iterable[WorkerCard],
    priority: Priority = Priority.INTERACTIVE,
) -> float:
    """Return what one waiting message of `branch` adds to the wait of the next of its priority, seconds.

    A process that serves several queues gives each of them a part of its time, as much as their work takes: jobs mostly
    wait in all of them. Without any worker, one is assumed: uploads wait for it, and autoscalers need to see them.
    """
    capacity = 0.0
    for card in cards:
        served = [each for each in work_s if queue_name(each, priority) in card.queues]
        if branch in served:
            capacity += work_s[branch] / sum(work_s[each] for each in served)
    return work_s[branch] / (capacity or 1.0)


def queue_loads(
    client: Any,  # noqa: ANN401  (redis-py's types)
    priority: Priority = Priority.INTERACTIVE,
) -> dict[Branch, QueueLoad]:
    """Return the load of every branch's queue for a priority as it is now.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    pace = client.hgetall(PACE)
    work_s = {branch: float(pace.get(f"work:{branch}") or ASSUMED_WORK_S) for branch in Branch}
    cards = worker_cards(client)
    loads = {}
    for branch in Branch:
        waiting = int(client.llen(queue_key(branch, priority)))
        each = seconds_each(branch, work_s, cards, priority)
        # Batch jobs that are not begun for long stand behind others, as they should.
        if waiting and priority is Priority.INTERACTIVE:
            standstill_s = min(oldest_s(client, branch), idle_s(client, branch))
            if standstill_s > max(STANDSTILL_S, STANDSTILL_WORKS * each):
                each = standstill_s
        serving = [card.queues for card in cards if queue_name(branch, priority) in card.queues]
        behind_s = _behind_s(client, branch, work_s, cards) if priority is Priority.BATCH else 0.0
        loads[branch] = QueueLoad(waiting, max(each, 1e-3), bool(serving), behind_s)
    return loads


def _behind_s(client: Any, branch: Branch, work_s: Mapping[Branch, float], cards: Iterable[WorkerCard]) -> float:  # noqa: ANN401
    """Return the seconds until a worker takes a batch job: none where some take no other jobs."""
    own, other = queue_name(branch, Priority.BATCH), queue_name(branch)
    if any(own in card.queues and other not in card.queues for card in cards):
        return 0.0
    return float(client.llen(queue_key(branch))) * seconds_each(branch, work_s, cards)


def jobs_before(client: Any, job_id: str) -> tuple[Priority, dict[Branch, int]] | None:  # noqa: ANN401
    """Return how many jobs of its priority are taken before this one, for each branch in which it still waits.

    None where it waits in none.
    """
    places = [(branch, priority) for priority in Priority for branch in Branch]
    with client.pipeline(transaction=False) as pipe:
        for branch, priority in places:
            pipe.zrank(waiting_key(branch, priority), job_id)
        ranks = [int(rank) if rank is not None else None for rank in pipe.execute()]
    for priority in Priority:
        of_it = zip(places, ranks, strict=True)
        before = {branch: rank for (branch, each), rank in of_it if each is priority and rank is not None}
        if before:
            return priority, before
    return None


def first_waiting(
    client: Any,  # noqa: ANN401
    branch: Branch,
    priority: Priority = Priority.INTERACTIVE,
) -> float | None:
    """Return when the job was created whose message is taken next, seconds since the epoch; None if none waits."""
    for text in reversed(client.lrange(queue_key(branch, priority), -MAX_FOREIGN, -1)):
        job_id = job_of(text)
        created = client.zscore(waiting_key(branch, priority), job_id) if job_id else None
        if created is not None:
            return float(created)
    return None


def oldest_s(client: Any, branch: Branch, priority: Priority = Priority.INTERACTIVE) -> float:  # noqa: ANN401
    """Return for how long the job has waited whose message is taken next, seconds; 0 where none waits."""
    first = first_waiting(client, branch, priority)
    return 0.0 if first is None else max(broker_time(client) - first, 0.0)


def idle_s(client: Any, branch: Branch) -> float:  # noqa: ANN401
    """Return the seconds since a worker last began this branch of an interactive job; infinite where none ever did."""
    begun = client.hget(PACE, f"begun:{branch}")
    return math.inf if begun is None else max(broker_time(client) - float(begun), 0.0)
