"""Queue and task names, and the Celery application whose settings gateway and workers share."""

import os
from typing import Final

import kombu.transport
from celery import Celery
from kombu.utils.scheduling import round_robin_cycle

from shared.jobs.keys import suffix
from shared.schemas import Priority
from shared.settings import Settings
from shared.vitals import Branch

#: The queue of each branch: each scales on its own. Batch jobs have a second one (`queue_name`).
QUEUES: Final[dict[Branch, str]] = {Branch.VISION: "vision", Branch.RPPG: "rppg"}
#: The Celery task of each branch.
TASKS: Final[dict[Branch, str]] = {branch: f"facevitals.{branch.value}" for branch in Branch}
#: The variable by which `facevitals worker` passes the queues to its processes.
QUEUES_VARIABLE: Final = "FACEVITALS_WORKER_QUEUES"
#: A task without work, for benchmarks.
NOOP_TASK: Final = "facevitals.noop"

#: The prefix of Celery's keys, which distinguishes them from ours (`shared.jobs.keys`).
BROKER_PREFIX: Final = "fvq:"

#: Celery prefers these to its configuration: with those of another project it would serve that project's broker.
_CELERY_VARIABLES: Final = (
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"),
    *("CELERY_RESULT_BACKEND", "CELERY_LOADER"),
)


def queue_name(branch: Branch, priority: Priority = Priority.INTERACTIVE) -> str:
    """Return the name of a branch's queue for jobs of a priority."""
    return QUEUES[branch] + suffix(priority)


#: The branch and the priority of each queue, by its name.
ALL_QUEUES: Final = {queue_name(branch, priority): (branch, priority) for priority in Priority for branch in Branch}


class InteractiveFirst(round_robin_cycle):
    """The order in which a worker looks into its queues: in turn, those of batch jobs after all others.

    kombu sends the queues to the broker in this order each time it may take a message, and the broker takes the message
    from the first of them that has any. A worker takes one message at a time, so a batch job waits in the broker until
    no interactive one does. kombu's own orders would not do: one gives every queue its turn, the others let the queue
    of one branch starve that of another.
    """

    def consume(self, n: int) -> list[str]:
        """Return `n` queues, the one that had its turn last at the end of its priority."""
        return sorted(self.items[:n], key=lambda queue: ALL_QUEUES.get(queue, (None, None))[1] is Priority.BATCH)


def ignore_celery_variables() -> None:
    """Remove Celery's own variables from this process's environment: `FACEVITALS_REDIS_URL` names the broker."""
    for name in _CELERY_VARIABLES:
        os.environ.pop(name, None)


def make_celery(settings: Settings) -> Celery:
    """Return a Celery application on the settings' broker, without a result backend: the job record holds outcomes."""
    ignore_celery_variables()
    for scheme in ("redis", "rediss"):
        # By name: kombu imports it when it connects.
        kombu.transport.TRANSPORT_ALIASES[scheme] = "shared.jobs.transport:Transport"
    app = Celery("facevitals", broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_create_missing_queues=False,
        task_queues={queue: {"exchange": queue, "routing_key": queue} for queue in ALL_QUEUES},
        task_default_queue=QUEUES[Branch.RPPG],
        task_routes={TASKS[branch]: {"queue": QUEUES[branch]} for branch in Branch},
        # A message is given back when its worker dies with it; a second delivery is harmless, because a branch begins
        # and ends by compare-and-set in the job record (`shared.jobs.scripts`).
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_acks_on_failure_or_timeout=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=settings.branch_soft_limit_s,
        task_time_limit=settings.branch_hard_limit_s,
        worker_max_tasks_per_child=settings.max_tasks_per_child,
        # A process loads its models before it reports ready. On a busy machine, Celery's default of 4 s would kill it
        # and each of its successors.
        worker_proc_alive_timeout=300.0,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broker that refuses for a while, as one at its `maxmemory` does, must not end a worker.
        broker_channel_error_retry=True,
        broker_transport_options={
            "global_keyprefix": BROKER_PREFIX,
            "queue_order_strategy": "shared.jobs.queues:InteractiveFirst",
            # Counted from when the message was taken: above the hard limit of two tries, or a task runs twice at once.
            # A message that waits, for however long, is not sent again.
            "visibility_timeout": int(settings.job_deadline_s + 2 * settings.branch_hard_limit_s + 60),
            "socket_keepalive": True,
            "socket_connect_timeout": 5,
            "retry_on_timeout": True,
        },
        enable_utc=True,
        timezone="UTC",
    )
    return app
