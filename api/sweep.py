"""The sweep: what must happen even when the process that should have done it died.

Every gateway sweeps every second; each step is a compare-and-set in the record, so that several sweepers do no harm.
"""

import asyncio
from typing import Final

import structlog
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.gateway import Gateway
from api.problems import ApiProblem
from shared.records import failed_outcome
from shared.schemas import BranchStatus, ErrorCode
from shared.store import StoreUnavailableError, SweepRefusedError

SWEEP_EVERY_S: Final = 1.0
#: Old clips are looked for this often, or ten times in their time to live.
STORE_EVERY_S: Final = 60.0

log = structlog.get_logger()


async def sweep_for_ever(gateway: Gateway) -> None:
    """Sweep until cancelled; a broker or store that is away is tried again at the next round."""
    next_store, unfinished = 0.0, True
    while True:
        try:
            await run_in_threadpool(sweep_jobs, gateway)
            if (now := asyncio.get_running_loop().time()) >= next_store:
                next_store = now + store_every_s(gateway.settings.clip_ttl_s)
                await run_in_threadpool(sweep_store, gateway)
                if unfinished:
                    await run_in_threadpool(sweep_unfinished, gateway)
        except SweepRefusedError as error:
            # It will say the same the next time.
            unfinished = False
            log.warning("unfinished uploads are not swept; give the bucket a lifecycle rule", why=str(error))
        except (RedisError, StoreUnavailableError, ApiProblem, OSError) as error:
            log.warning("sweep put off", error=str(error))
        except Exception:
            # Whatever it was, the next job must not wait for somebody to notice.
            log.exception("sweep failed")
        await asyncio.sleep(SWEEP_EVERY_S)


def sweep_jobs(gateway: Gateway) -> None:
    """Try lost branches again, end overdue jobs, finish what an assembler left, erase what an eraser left."""
    records = gateway.records
    # A store that is away takes long to say so: what jobs and their clients wait for goes first.
    ended: list[str | None] = []
    for lost in records.lost_tries():
        log.warning("worker lost", job=lost.job_id, branch=lost.branch, again=lost.again)
        if lost.again:
            gateway.enqueue_again(lost.job_id, lost.branch)
            continue
        detail = "The worker died twice on this clip. Record it again, or convert it to H.264 MP4."
        outcome = failed_outcome(BranchStatus.ERROR, ErrorCode.BRANCH_FAILED, detail)
        _, last = records.write_outcome(lost.job_id, lost.branch, outcome)
        if last:
            ended.append(records.finish(lost.job_id))
    for job_id, branch in records.stranded(gateway.settings.job_deadline_s):
        log.warning("message lost", job=job_id, branch=branch)
        gateway.enqueue_again(job_id, branch)
    for job_id in records.overdue():
        log.warning("deadline passed", job=job_id)
        ended.append(records.time_out(job_id))
    ended.extend(records.finish(job_id) for job_id in records.unassembled())
    for clip_key in (*filter(None, ended), *records.unerased()):
        if not _erase(gateway, clip_key):
            break


def store_every_s(clip_ttl_s: float) -> float:
    """Seconds between two looks for old clips."""
    return min(STORE_EVERY_S, clip_ttl_s / 10)


def sweep_store(gateway: Gateway) -> None:
    """Erase clips that would be past their time to live at the next look, whoever forgot them."""
    ttl_s = gateway.settings.clip_ttl_s
    for clip_key in gateway.store.older_than(ttl_s - store_every_s(ttl_s)):
        log.info("clip expired", clip=clip_key)
        if not _erase(gateway, clip_key):
            break


def sweep_unfinished(gateway: Gateway) -> None:
    """Abort uploads to a bucket whose gateway was killed; parts are in no listing, and nobody else will.

    Raises:
        SweepRefusedError: the store does not let us.
    """
    ttl_s = gateway.settings.clip_ttl_s
    for clip_key in gateway.store.abort_unfinished(ttl_s - store_every_s(ttl_s)):
        log.info("unfinished upload aborted", clip=clip_key)


def _erase(gateway: Gateway, clip_key: str) -> bool:
    try:
        gateway.store.erase(clip_key)
    except StoreUnavailableError as error:
        # Its key stays on the list. Jobs must go on ending while the store is away.
        log.warning("clip not erased; the next sweep will", clip=clip_key, error=str(error))
        return False
    gateway.records.erased(clip_key)
    return True
