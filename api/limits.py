"""Limits of one key: how often it may submit, and how many of its jobs may wait or run at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.gateway import Gateway
from api.keys import Caller
from api.problems import RateExceeded, TooManyActive
from shared.access.quotas import Admission, Quotas
from shared.ids import new_id


@asynccontextmanager
async def place(gateway: Gateway, caller: Caller) -> AsyncIterator[None]:
    """Hold one of the caller's places while a submission is served; a caller without limits needs none.

    Raises:
        RateExceeded: the key submits faster than it may.
        TooManyActive: as many of its jobs as it may have wait or run.
    """
    if not caller.rate_per_min and not caller.max_active:
        yield
        return
    quotas, held = Quotas(gateway.records.redis), new_id()
    rate, active = caller.rate_per_min, caller.max_active
    answer = await run_in_threadpool(quotas.acquire, caller.owner, held, rate_per_min=rate, max_active=active)
    later = {"Retry-After": str(answer.wait_s)}
    if answer.admission is Admission.RATE_EXCEEDED:
        raise RateExceeded(f"This key may submit {rate} clips a minute.", headers=later)
    if answer.admission is Admission.TOO_MANY_ACTIVE:
        raise TooManyActive(f"This key may have {active} jobs waiting or running.", headers=later)
    try:
        yield
    finally:
        # A broker that is away forgets the place by itself.
        with suppress(RedisError):
            await run_in_threadpool(quotas.release, caller.owner, held)
