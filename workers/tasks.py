"""The Celery application of a worker, and the start and end of its processes, which load their models once."""

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
from functools import cache
from typing import Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery
from celery.exceptions import WorkerShutdown
from celery.signals import (
    task_failure,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)
from redis.exceptions import RedisError

from shared.jobs.broker_errors import failure_log
from shared.jobs.celery_messages import Dropped
from shared.jobs.job_store import JobStore
from shared.jobs.queues import NOOP_TASK, TASKS, make_celery
from shared.jobs.transport import message_dropped
from shared.observability.logging import configure_logging
from shared.observability.tracing import configure_tracing, shutdown_tracing
from shared.settings import settings
from shared.vitals import Branch
from workers.job_runner.clock import ClockSkewError, check_clock
from workers.job_runner.process import WorkerProcess, queues_of_this_worker

log = structlog.get_logger()

configure_logging(settings())
app: Celery = make_celery(settings())

_BRANCH_OF_TASK = {name: branch for branch, name in TASKS.items()}


class _Holder:
    """The process's one `WorkerProcess`: Celery has no other place for what its tasks share."""

    process: WorkerProcess | None = None

    @classmethod
    def get(cls) -> WorkerProcess:
        if cls.process is None:
            cls.process = WorkerProcess.start(settings(), queues_of_this_worker())
        return cls.process


@cache
def _jobs() -> JobStore:
    return JobStore.connect(settings().redis_url, settings().result_ttl_s)


@worker_init.connect(weak=False)
def _check_clock(**_: object) -> None:
    """Check the clock in the parent process, before it takes any message; if the broker is away, once it is ready."""
    try:
        check_clock(_jobs())
    except ClockSkewError as error:
        log.error("worker not started", why=str(error))
        raise WorkerShutdown(1) from error
    except RedisError as error:
        failure_log.warn("clock not compared", error)


@worker_ready.connect(weak=False)
def _check_clock_again(**_: object) -> None:
    _check_clock()


@message_dropped.connect(weak=False)
def _count_dropped(queue: str, why: Dropped, **_: object) -> None:
    with contextlib.suppress(RedisError):
        _jobs().counters.count_dropped(queue, why)


@worker_process_init.connect(weak=False)
def _init(**_: object) -> None:
    """Load the models that the queues need, so that the first clip does not wait for them."""
    die_with_parent()
    # A crash in native code is reported with the Python stack.
    faulthandler.enable()
    configure_logging(settings())
    configure_tracing(settings(), "worker")
    _Holder.get()


@worker_process_shutdown.connect(weak=False)
def _shutdown(**_: object) -> None:
    if _Holder.process is not None:
        _Holder.process.close()
    shutdown_tracing()


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, in whatever way (Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        parent = os.getppid()
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


@app.task(name=TASKS[Branch.VISION])
def vision(job_id: str) -> None:
    """Analyse the face: age, gender and BMI."""
    _Holder.get().run(Branch.VISION, job_id)


@app.task(name=TASKS[Branch.RPPG])
def rppg(job_id: str) -> None:
    """Estimate the vitals of the pulse."""
    _Holder.get().run(Branch.RPPG, job_id)


@app.task(name=NOOP_TASK)
def noop(_: object = None) -> None:
    """Do nothing: `facevitals bench load` measures the queue's own cost with it."""


@task_prerun.connect(weak=False)
def _bind_job(args: list[Any] | None = None, **_: object) -> None:
    structlog.contextvars.clear_contextvars()
    if args:
        structlog.contextvars.bind_contextvars(job=args[0])


@task_failure.connect(weak=False)
def _failed(sender: Any = None, args: Any = None, exception: BaseException | None = None, **_: object) -> None:  # noqa: ANN401
    """Expire, in the parent process, the lease of a child that died in the middle of a task."""
    branch = _BRANCH_OF_TASK.get(getattr(sender, "name", ""))
    if branch is None or not args or not isinstance(exception, WorkerLostError | TimeLimitExceeded):
        return
    log.warning("worker process lost", branch=branch, job=args[0], error=type(exception).__name__)
    # Where the broker is away or full, the lease ends by itself a little later.
    with contextlib.suppress(RedisError):
        _jobs().leases.of(args[0], branch).expire()
