"""`Idempotency-Key`: two equal requests make one job."""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.dependencies import Gateway
from api.problems import IdempotencyConflict, IdempotencyInProgress
from shared.jobs.keys import PREFIX, Key
from shared.jobs.lua import Script

#: A request holds its key for this long, seconds, and renews the hold every third of it. A gateway that dies releases
#: the key after this time; if the gateway cannot reach the broker for longer, the key may be used twice.
HELD_S: Final = 15


@dataclass(frozen=True, kw_only=True)
class ReleaseHold(Script[int]):
    """Release the hold on an idempotency key, if it is this request's."""

    source: ClassVar[str] = "if redis.call('GET', hold) == token then return redis.call('DEL', hold) end return 0"

    hold: Key
    token: str


@dataclass(frozen=True, kw_only=True)
class RenewHold(Script[int]):
    """Extend the hold on an idempotency key, if it is this request's."""

    source: ClassVar[str] = (
        "if redis.call('GET', hold) == token then return redis.call('EXPIRE', hold, ttl_s) end return 0"
    )

    hold: Key
    token: str
    ttl_s: int


@dataclass
class Hold:
    """A key that this request holds, and the job it made before."""

    name: str
    gateway: Gateway
    first_job: str | None = None
    first_content: str | None = None

    def repeated(self, content: str) -> str | None:
        """Return the job that this content made before, if the key was used.

        Raises:
            IdempotencyConflict: the key was used with other content.
        """
        if self.first_job is None or self.first_content == content:
            return self.first_job
        raise IdempotencyConflict("Use a new Idempotency-Key for another clip or other options.")

    async def keep(self, job: str, content: str) -> None:
        """Store the job that the key is about to make.

        It is stored before the job is created: a gateway that dies in between leaves a key without a job, which is
        free. Stored afterwards, the client's next attempt could make a second job.
        """
        redis, ttl_s = self.gateway.records.redis, self.gateway.settings.result_ttl_s
        await run_in_threadpool(redis.set, self.name, f"{job} {content}", ex=ttl_s)


@asynccontextmanager
async def hold(gateway: Gateway, owner: str, key: str) -> AsyncIterator[Hold]:
    """Hold `key` while its request is served.

    Raises:
        IdempotencyInProgress: another request holds it.
    """
    name = f"{PREFIX}idem:{owner}:{hashlib.sha256(key.encode()).hexdigest()}"
    redis, hold_key, token = gateway.records.redis, Key(f"{name}:held"), uuid.uuid4().hex
    acquired = await run_in_threadpool(redis.set, hold_key, token, nx=True, ex=HELD_S)
    # redis-py repeats a command whose answer was lost; the second one finds this request's own token.
    if not acquired and await run_in_threadpool(redis.get, hold_key) != token:
        raise IdempotencyInProgress("Wait for its response, then request that job.", headers={"Retry-After": "2"})
    renewing = asyncio.create_task(_renew(redis, hold_key, token))
    try:
        held = Hold(name, gateway)
        if known := await run_in_threadpool(redis.get, name):
            first_job, first_content = known.split()
            # A job that expired, was deleted or was never created frees its key.
            if await run_in_threadpool(gateway.records.document, first_job, owner=owner):
                held = Hold(name, gateway, first_job, first_content)
        yield held
    finally:
        renewing.cancel()
        # If the broker is away, the hold expires.
        with contextlib.suppress(RedisError):
            await run_in_threadpool(ReleaseHold(hold=hold_key, token=token).run, redis)


async def _renew(redis: Any, hold_key: Key, token: str) -> None:  # noqa: ANN401  (redis-py's types)
    while True:
        await asyncio.sleep(HELD_S / 3)
        with contextlib.suppress(RedisError):
            await run_in_threadpool(RenewHold(hold=hold_key, token=token, ttl_s=HELD_S).run, redis)
