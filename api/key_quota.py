"""Limits of one API key: clips a minute, and unfinished jobs at once.

Batch jobs are counted apart. The settings' clips a minute do not apply to them, since they come in bursts; the limits
that a key was given itself do.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.authentication import Caller
from api.dependencies import Gateway
from api.problems import RateExceeded, TooManyActive
from api.queue_limit import BATCH_RETRY_S
from shared.access.quotas import Admission, Quotas
from shared.ids import new_id
from shared.schemas import Priority
from shared.settings import Settings


@asynccontextmanager
async def slot(gateway: Gateway, caller: Caller, priority: Priority = Priority.INTERACTIVE) -> AsyncIterator[None]:
    """Hold one of the caller's slots while an upload is served. A caller without limits needs none.

    Raises:
        RateExceeded: the key submits more clips a minute than it may.
        TooManyActive: the key has as many unfinished jobs as it may have.
    """
    rate, active = _limits(gateway.settings, caller, priority)
    if not rate and not active:
        yield
        return
    quotas, held = Quotas(gateway.records.redis), new_id()
    grant = await run_in_threadpool(
        quotas.acquire, caller.owner, held, rate_per_min=rate, max_active=active, priority=priority
    )
    later = {"Retry-After": str(grant.wait_s)}
    if grant.admission is Admission.RATE_EXCEEDED:
        raise RateExceeded(f"This key may submit {rate} clips a minute. Try again in {grant.wait_s} s.", headers=later)
    if grant.admission is Admission.TOO_MANY_ACTIVE:
        if priority is Priority.BATCH:
            later = {"Retry-After": str(BATCH_RETRY_S)}
            raise TooManyActive(
                f"A key may have {active} unfinished batch jobs. Try again when some have ended.", headers=later
            )
        detail = f"This key may have {active} unfinished jobs. Try again in {grant.wait_s} s."
        raise TooManyActive(detail, headers=later)
    try:
        yield
    finally:
        # If the broker is away, the slot expires.
        with suppress(RedisError):
            await run_in_threadpool(quotas.release, caller.owner, held, priority)


def _limits(settings: Settings, caller: Caller, priority: Priority) -> tuple[int, int]:
    """Return the caller's clips a minute and unfinished jobs at once; 0: no limit."""
    if priority is Priority.INTERACTIVE:
        return caller.rate_per_min, caller.max_active
    own_rate, own_active = caller.own_limits
    return own_rate or 0, settings.key_max_batch if own_active is None else own_active
