"""The sweep: what must happen even when the process that should have done it died.

Every gateway sweeps every second; each step is a compare-and-set in the record, so that several sweepers do no harm.
Each step is guarded on its own: what stops one, a message that nobody understands or a broker without memory, stops no
other.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeVar

import structlog
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.gateway import Gateway
from shared.clips.store import StoreUnavailableError, SweepRefusedError
from shared.jobs.broker_errors import troubles
from shared.jobs.queues import QUEUES
from shared.jobs.worker_registry import worker_cards
from shared.schemas import ErrorCode
from shared.vitals import Branch

SWEEP_EVERY_S: Final = 1.0
#: Old clips are looked for this often, or ten times in their time to live.
STORE_EVERY_S: Final = 60.0

#: After so many clips that could not be erased the store counts as away, for this round.
ERASE_FAILURES: Final = 3

log = structlog.get_logger()

T = TypeVar("T")
Step = Callable[[Gateway], None]


async def sweep_for_ever(gateway: Gateway) -> None:
    """Sweep until cancelled; a broker or store that is away is tried again at the next round."""
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
    """Erase what an eraser left, try lost branches again, end what has had its time, finish what an assembler left."""
    for step in STEPS:
        _guarded(step, gateway)


def _guarded(step: Step, gateway: Gateway) -> bool:
    """Whether the step makes sense again: whatever it raises, the next step must not wait for somebody to notice."""
    try:
        step(gateway)
    except SweepRefusedError as error:
        log.warning("unfinished uploads are not swept; give the bucket a lifecycle rule", why=str(error))
        return False
    except (RedisError, OSError) as error:
        troubles.warn("sweep put off", error, step=_name(step))
    except StoreUnavailableError as error:
        if (more := troubles.due("sweep put off", _name(step))) is not None:
            log.warning("sweep put off", step=_name(step), error=str(error), **more)
    except Exception:
        if (more := troubles.due("sweep failed", _name(step))) is not None:
            log.exception("sweep failed", step=_name(step), **more)
    return True


def _each(what: str, items: Iterable[T], do: Callable[[T], object]) -> None:
    """One record that can't be read, of another release or broken, stops none of those behind it."""
    for item in items:
        try:
            do(item)
        except (RedisError, OSError, StoreUnavailableError):
            raise
        except Exception:
            if (more := troubles.due("sweep failed", what)) is not None:
                log.exception("sweep failed", step=what, **more)


def _name(step: Step) -> str:
    of = step.func if isinstance(step, partial) else step
    return str(getattr(of, "__name__", of)).strip("_")


def _erase_ended(gateway: Gateway) -> None:
    """First of all: it frees space, and a face must not lie about because something else fails."""
    failed = 0
    for clip_key in gateway.records.unerased():
        # One that can't be erased must not keep the others; a store that is away takes long to say so each time.
        failed += not _erase(gateway, clip_key)
        if failed >= ERASE_FAILURES:
            break


def _retry_lost(gateway: Gateway) -> None:
    for lost in gateway.records.lost_tries():
        log.warning("worker lost", job=lost.job_id, branch=lost.branch, again=lost.again)
        if not lost.again:
            detail = "The worker died twice on this clip. Record it again, or convert it to H.264 MP4."
            gateway.records.end_branch(lost.job_id, lost.branch, ErrorCode.BRANCH_FAILED, detail)


def _requeue_stranded(branch: Branch, gateway: Gateway) -> None:
    # The youngest first, each before the others: so they stand by age, and none seems to have been passed over.
    for job_id in reversed(gateway.records.stranded(branch)):
        log.warning("message lost", job=job_id, branch=branch)
        gateway.records.requeue(job_id, branch)


def _end_overwaited(branch: Branch, gateway: Gateway) -> None:
    """A job that nobody had time for is ended as `queue_timeout`; where nobody is there at all, sooner and as such."""
    records, settings = gateway.records, gateway.settings
    for job_id in records.overwaited(branch, settings.wait_limit_s):
        log.warning("waited too long", job=job_id, branch=branch)
        detail = f"No {branch} worker had time for the job within {settings.wait_limit_s:.0f} s. Submit the clip again."
        records.end_branch(job_id, branch, ErrorCode.QUEUE_TIMEOUT, detail, only_waiting=True)
    unserved = records.overwaited(branch, settings.job_deadline_s)
    # A worker that is renewing its process shows no card for a while, so the last begin counts as well.
    if unserved and records.idle_s(branch) > settings.job_deadline_s and not _is_served(branch, gateway):
        for job_id in unserved:
            log.warning("no worker", job=job_id, branch=branch)
            detail = f"No {branch} worker took the job in time. Start one: facevitals worker --queues {QUEUES[branch]}"
            records.end_branch(job_id, branch, ErrorCode.BRANCH_TIMEOUT, detail, only_waiting=True)


def _is_served(branch: Branch, gateway: Gateway) -> bool:
    return any(QUEUES[branch] in card.queues for card in worker_cards(gateway.records.redis))


def _end_overworked(gateway: Gateway) -> None:
    for job_id, branch in gateway.records.overworked():
        log.warning("worked too long", job=job_id, branch=branch)
        detail = f"The {branch} worker did not finish in the time that it has. Submit the clip again."
        gateway.records.end_branch(job_id, branch, ErrorCode.BRANCH_TIMEOUT, detail)


def _end_overdue(gateway: Gateway) -> None:
    def end(job_id: str) -> None:
        log.warning("deadline passed", job=job_id)
        gateway.records.time_out(job_id)

    _each("end_overdue", gateway.records.overdue(), end)


def _assemble(gateway: Gateway) -> None:
    _each("assemble", gateway.records.unassembled(), gateway.records.finish)


#: In this order. Clips of jobs that a step ends are erased in the next round, a second later; a store that is away
#: takes long to say so, and holds up nobody's answer.
STEPS: Final[tuple[Step, ...]] = (
    _erase_ended,
    _retry_lost,
    *(partial(_requeue_stranded, branch) for branch in Branch),
    *(partial(_end_overwaited, branch) for branch in Branch),
    _end_overworked,
    _end_overdue,
    _assemble,
)


def store_every_s(clip_ttl_s: float) -> float:
    """Seconds between two looks for old clips."""
    return min(STORE_EVERY_S, clip_ttl_s / 10)


def sweep_store(gateway: Gateway) -> None:
    """Erase clips that would be past their time to live at the next look, whoever forgot them."""
    ttl_s = gateway.settings.clip_ttl_s
    for clip_key in gateway.store.older_than(ttl_s - store_every_s(ttl_s)):
        # How old it is says this machine's clock, or the bucket's. Whether it is needed says the job's record.
        if gateway.records.is_unfinished(clip_key.rpartition("/")[2]):
            continue
        log.info("clip expired", clip=clip_key)
        if not _erase(gateway, clip_key):
            break


def sweep_unfinished(gateway: Gateway) -> None:
    """Abort uploads to a bucket whose gateway was killed; parts are in no listing, and nobody else will.

    Raises:
        SweepRefusedError: the store does not let us.
    """
    ttl_s = gateway.settings.clip_ttl_s
    for clip_key in gateway.store.abort_incomplete(ttl_s - store_every_s(ttl_s)):
        log.info("unfinished upload aborted", clip=clip_key)


def _erase(gateway: Gateway, clip_key: str) -> bool:
    try:
        gateway.store.erase(clip_key)
    except StoreUnavailableError as error:
        # Its key stays on the list. Jobs must go on ending while the store is away.
        if (more := troubles.due("clip not erased")) is not None:
            log.warning("clip not erased; the next sweep will", clip=clip_key, error=str(error), **more)
        return False
    gateway.records.erased(clip_key)
    return True
