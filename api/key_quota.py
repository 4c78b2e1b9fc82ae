"""Limits of one API key: clips a minute, and unfinished jobs at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.authentication import Caller
from api.dependencies import Gateway
from api.problems import RateExceeded, TooManyActive
from shared.access.quotas import Admission, Quotas
from shared.ids import new_id


@asynccontextmanager
async def slot(gateway: Gateway, caller: Caller) -> AsyncIterator[None]:
    """Hold one of the caller's slots while an upload is served. A caller without limits needs none.

    Raises:
        RateExceeded: the key submits more clips a minute than it may.
        TooManyActive: the key has as many unfinished jobs as it may have.
    """
    if not caller.rate_per_min and not caller.max_active:
        yield
        return
    quotas, held = Quotas(gateway.records.redis), new_id()
    rate, active = caller.rate_per_min, caller.max_active
    grant = await run_in_threadpool(quotas.acquire, caller.owner, held, rate_per_min=rate, max_active=active)
    later = {"Retry-After": str(grant.wait_s)}
    if grant.admission is Admission.RATE_EXCEEDED:
        raise RateExceeded(f"This key may submit {rate} clips a minute. Try again in {grant.wait_s} s.", headers=later)
    if grant.admission is Admission.TOO_MANY_ACTIVE:
        detail = f"This key may have {active} unfinished jobs. Try again in {grant.wait_s} s."
        raise TooManyActive(detail, headers=later)
    try:
        yield
    finally:
        # If the broker is away, the slot expires.
        with suppress(RedisError):
            await run_in_threadpool(quotas.release, caller.owner, held)
