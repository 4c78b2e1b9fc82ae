"""The sweep: completes work whose process died.

Every gateway sweeps every second. Each step is a compare-and-set in the record, so that several gateways can sweep at
once. Errors are caught step by step: an unreadable message or a broker without memory stops one step, not the others.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeVar

import structlog
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.dependencies import Gateway
from shared.clips.store import StoreUnavailableError, SweepRefusedError
from shared.jobs.broker_errors import failure_log
from shared.jobs.queues import QUEUES
from shared.jobs.waiting import idle_s
from shared.jobs.worker_registry import worker_cards
from shared.schemas import ErrorCode, Priority
from shared.vitals import Branch

#: Seconds between two sweeps.
SWEEP_EVERY_S: Final = 1.0
#: Old clips are searched this often, or ten times in their time to live.
STORE_EVERY_S: Final = 60.0

#: After this many clips that could not be erased, the store counts as away for this round.
ERASE_FAILURES: Final = 3

log = structlog.get_logger()

T = TypeVar("T")
Step = Callable[[Gateway], None]


async def sweep_forever(gateway: Gateway) -> None:
    """Sweep until cancelled. If the broker or the store is away, the next round tries again."""
    next_store, unfinished = 0.0, True
    while True:
        await run_in_threadpool(sweep_jobs, gateway)
        if (now := time.monotonic()) >= next_store:
            next_store = now + store_every_s(gateway.settings.clip_ttl_s)
            await run_in_threadpool(_guarded, sweep_store, gateway)
            if unfinished:
                unfinished = await run_in_threadpool(_guarded, sweep_unfinished, gateway)
        await asyncio.sleep(SWEEP_EVERY_S)


def sweep_jobs(gateway: Gateway) -> None:
    """Run every step: erase leftover clips, retry lost branches, end overdue ones, assemble documents."""
    for step in STEPS:
        _guarded(step, gateway)


def _guarded(step: Step, gateway: Gateway) -> bool:
    """Run a step; return whether to run it again. No error of a step may stop the next one."""
    try:
        step(gateway)
    except SweepRefusedError as error:
        log.warning("unfinished uploads are not swept; give the bucket a lifecycle rule", why=str(error))
        return False
    except (RedisError, OSError) as error:
        failure_log.warn("sweep put off", error, step=_name(step))
    except StoreUnavailableError as error:
        if (more := failure_log.due("sweep put off", _name(step))) is not None:
            log.warning("sweep put off", step=_name(step), error=str(error), **more)
    except Exception:
        if (more := failure_log.due("sweep failed", _name(step))) is not None:
            log.exception("sweep failed", step=_name(step), **more)
    return True


def _each(what: str, items: Iterable[T], do: Callable[[T], object]) -> None:
    """Call `do` for each item; an unreadable record, of another release or broken, does not stop the others."""
    for item in items:
        try:
            do(item)
        except (RedisError, OSError, StoreUnavailableError):
            raise
        except Exception:
            if (more := failure_log.due("sweep failed", what)) is not None:
                log.exception("sweep failed", step=what, **more)


def _name(step: Step) -> str:
    of = step.func if isinstance(step, partial) else step
    return str(getattr(of, "__name__", of)).strip("_")


def _erase_ended(gateway: Gateway) -> None:
    """Erase clips first: it frees space, and a failure elsewhere must not keep a face in the store."""
    failed = 0
    for clip_key in gateway.jobs.overdue.unerased():
        # One failure must not keep the other clips; a store that is away takes long to fail each time.
        failed += not _erase(gateway, clip_key)
        if failed >= ERASE_FAILURES:
            break


def _retry_lost(gateway: Gateway) -> None:
    for lost in gateway.jobs.overdue.lost_tries():
        log.warning("worker lost", job=lost.job_id, branch=lost.branch, again=lost.again)
        if not lost.again:
            detail = "The worker died twice on this clip. Record it again, or convert it to H.264 MP4."
            gateway.jobs.outcomes.end_branch(lost.job_id, lost.branch, ErrorCode.BRANCH_FAILED, detail)


def _requeue_stranded(branch: Branch, gateway: Gateway) -> None:
    overdue = gateway.jobs.overdue
    for priority in Priority:
        # The youngest first, each put before the others: so they are in order of age again.
        for job_id in reversed(overdue.stranded(branch, priority)):
            log.warning("message lost", job=job_id, branch=branch)
            overdue.requeue(job_id, branch, priority)


def _end_past_wait_limit(branch: Branch, gateway: Gateway) -> None:
    """End jobs that waited too long as `queue_timeout`, and sooner as `branch_timeout` if there is no worker at all."""
    jobs, settings = gateway.jobs, gateway.settings
    for job_id in jobs.overdue.past_wait_limit(branch, settings.wait_limit_s):
        log.warning("waited too long", job=job_id, branch=branch)
        detail = f"No {branch} worker had time for the job within {settings.wait_limit_s:.0f} s. Submit the clip again."
        jobs.outcomes.end_branch(job_id, branch, ErrorCode.QUEUE_TIMEOUT, detail, only_waiting=True)
    unserved = jobs.overdue.past_wait_limit(branch, settings.job_deadline_s)
    # A worker that is replacing its process has no card for a while, so the last begin counts as well.
    if unserved and idle_s(jobs.redis, branch) > settings.job_deadline_s and not _is_served(branch, gateway):
        for job_id in unserved:
            log.warning("no worker", job=job_id, branch=branch)
            detail = f"No {branch} worker took the job in time. Start one: facevitals worker --queues {QUEUES[branch]}"
            jobs.outcomes.end_branch(job_id, branch, ErrorCode.BRANCH_TIMEOUT, detail, only_waiting=True)


def _end_past_batch_wait(branch: Branch, gateway: Gateway) -> None:
    """End batch jobs that waited too long as `queue_timeout`, whether or not there are workers: they may come at night.

    Raises:
        redis.exceptions.RedisError: the broker is away.
    """
    overdue, wait_s = gateway.jobs.overdue, gateway.settings.batch_wait_s
    for job_id in overdue.past_wait_limit(branch, wait_s, Priority.BATCH):
        log.warning("waited too long", job=job_id, branch=branch, priority=Priority.BATCH)
        detail = (
            f"No {branch} worker had time for this batch job within {wait_s:.0f} s, because of the jobs before it or "
            f"because none takes batch jobs (facevitals worker --queues {QUEUES[branch]}). Submit the clip again."
        )
        gateway.jobs.outcomes.end_branch(job_id, branch, ErrorCode.QUEUE_TIMEOUT, detail, only_waiting=True)
        overdue.drop(job_id, branch, Priority.BATCH)


def _is_served(branch: Branch, gateway: Gateway) -> bool:
    return any(QUEUES[branch] in card.queues for card in worker_cards(gateway.jobs.redis))


def _end_past_work_limit(gateway: Gateway) -> None:
    for job_id, branch in gateway.jobs.overdue.past_work_limit():
        log.warning("worked too long", job=job_id, branch=branch)
        detail = f"The {branch} worker did not finish in the time that it has. Submit the clip again."
        gateway.jobs.outcomes.end_branch(job_id, branch, ErrorCode.BRANCH_TIMEOUT, detail)


def _end_overdue(gateway: Gateway) -> None:
    def end(job_id: str) -> None:
        log.warning("deadline passed", job=job_id)
        gateway.jobs.outcomes.time_out(job_id)

    _each("end_overdue", gateway.jobs.overdue.past_deadline(), end)


def _assemble(gateway: Gateway) -> None:
    _each("assemble", gateway.jobs.overdue.unassembled(), gateway.jobs.completion.finish)


#: In this order. Clips of jobs that a step ends are erased in the next round, a second later, so that a store that is
#: away does not delay the ends of jobs.
STEPS: Final[tuple[Step, ...]] = (
    _erase_ended,
    _retry_lost,
    *(partial(_requeue_stranded, branch) for branch in Branch),
    *(partial(_end_past_wait_limit, branch) for branch in Branch),
    *(partial(_end_past_batch_wait, branch) for branch in Branch),
    _end_past_work_limit,
    _end_overdue,
    _assemble,
)


def store_every_s(clip_ttl_s: float) -> float:
    """Return the seconds between two searches for old clips."""
    return min(STORE_EVERY_S, clip_ttl_s / 10)


def sweep_store(gateway: Gateway) -> None:
    """Erase clips whose time to live would be over at the next search.

    A batch job may wait for longer than that; the clip that it retains is kept as long after its end.
    """
    ttl_s = gateway.settings.clip_ttl_s
    for clip_key in gateway.store.older_than(ttl_s - store_every_s(ttl_s)):
        # Its age is by this machine's clock, or the bucket's. Whether it is still needed is in the job's record.
        if gateway.records.needs_clip(clip_key.rpartition("/")[2], ttl_s - store_every_s(ttl_s)):
            continue
        log.info("clip expired", clip=clip_key)
        if not _erase(gateway, clip_key):
            break


def sweep_unfinished(gateway: Gateway) -> None:
    """Abort uploads to a bucket whose gateway was killed. Their parts are in no listing.

    Raises:
        SweepRefusedError: the store does not allow it.
    """
    ttl_s = gateway.settings.clip_ttl_s
    for clip_key in gateway.store.abort_incomplete(ttl_s - store_every_s(ttl_s)):
        log.info("unfinished upload aborted", clip=clip_key)


def _erase(gateway: Gateway, clip_key: str) -> bool:
    try:
        gateway.store.erase(clip_key)
    except StoreUnavailableError as error:
        # Its key stays on the list. Jobs must end while the store is away, too.
        if (more := failure_log.due("clip not erased")) is not None:
            log.warning("clip not erased; the next sweep will", clip=clip_key, error=str(error), **more)
        return False
    gateway.records.erased(clip_key)
    return True
