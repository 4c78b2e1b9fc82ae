"""Queue and task names, and the Celery application that gateway and workers share the settings of."""

import os
from typing import Final

import kombu.transport
from celery import Celery

from shared.settings import Settings
from shared.vitals import Branch

#: One queue a branch, so that each scales on its own.
QUEUES: Final[dict[Branch, str]] = {Branch.VISION: "vision", Branch.RPPG: "rppg"}
TASKS: Final[dict[Branch, str]] = {branch: f"facevitals.{branch.value}" for branch in Branch}
#: How `facevitals worker` tells its processes which queues they serve.
QUEUES_VARIABLE: Final = "FACEVITALS_WORKER_QUEUES"
NOOP_TASK: Final = "facevitals.noop"

#: Broker keys carry this prefix, so that they can be told from ours.
BROKER_PREFIX: Final = "fvq:"


#: Celery prefers these to what it is given: with those of another project it would serve that project's broker.
_CELERY_VARIABLES: Final = (
    *("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"),
    *("CELERY_RESULT_BACKEND", "CELERY_LOADER"),
)


def ignore_celery_variables() -> None:
    """Take Celery's own variables out of this process's environment: `FACEVITALS_REDIS_URL` names the broker."""
    for name in _CELERY_VARIABLES:
        os.environ.pop(name, None)


def make_celery(settings: Settings) -> Celery:
    """A Celery application on the settings' broker, without a result backend: outcomes go into the job record."""
    ignore_celery_variables()
    for scheme in ("redis", "rediss"):
        # By name: kombu imports it as it connects.
        kombu.transport.TRANSPORT_ALIASES[scheme] = "shared.jobs.transport:Transport"
    app = Celery("facevitals", broker=settings.redis_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_create_missing_queues=False,
        task_queues={queue: {"exchange": queue, "routing_key": queue} for queue in QUEUES.values()},
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
        # A process loads its models before it says that it is up. Celery's 4 s kill it for that on a busy machine, and
        # its successor, for ever.
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
            # Counted from the taking: above the hard limit of two tries, or a task runs twice at once.
            "visibility_timeout": int(settings.job_deadline_s + 2 * settings.branch_hard_limit_s + 60),
            "socket_keepalive": True,
            "socket_connect_timeout": 5,
            "retry_on_timeout": True,
        },
        enable_utc=True,
        timezone="UTC",
    )
    return app
