"""`Idempotency-Key`: the same request twice makes one job."""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from api.gateway import Gateway
from api.problems import IdempotencyConflict, IdempotencyInProgress
from shared.jobs.records import PREFIX

#: A request that is being served renews its hold on the key every third of this. A gateway that died holds it no
#: longer; one that cannot reach the broker for so long may see the key used twice.
HELD_S: Final = 15

_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_RENEW: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('EXPIRE', KEYS[1], ARGV[2]) end return 0"
)


@dataclass
class Claim:
    """A key that this request holds, and what it was used for before."""

    name: str
    gateway: Gateway
    first_job: str | None = None
    first_content: str | None = None

    def repeated(self, content: str) -> str | None:
        """The job that this content made before, if the key was used.

        Raises:
            IdempotencyConflict: the key belongs to other content.
        """
        if self.first_job is None or self.first_content == content:
            return self.first_job
        raise IdempotencyConflict("Use a new Idempotency-Key for another clip or other options.")

    async def keep(self, job: str, content: str) -> None:
        """Remember what the key is about to make.

        Written before the job is: whoever dies between the two leaves a key whose job never was, which is a free one.
        Written after it, the client's next try would make a second job.
        """
        redis, ttl_s = self.gateway.records.redis, self.gateway.settings.result_ttl_s
        await run_in_threadpool(redis.set, self.name, f"{job} {content}", ex=ttl_s)


@asynccontextmanager
async def claim(gateway: Gateway, owner: str, key: str) -> AsyncIterator[Claim]:
    """Hold `key` while its request is served.

    Raises:
        IdempotencyInProgress: another request holds it.
    """
    name = f"{PREFIX}idem:{owner}:{hashlib.sha256(key.encode()).hexdigest()}"
    redis, hold, token = gateway.records.redis, f"{name}:held", uuid.uuid4().hex
    claimed = await run_in_threadpool(redis.set, hold, token, nx=True, ex=HELD_S)
    # The second look finds our own: redis-py asks again after an answer that was lost.
    if not claimed and await run_in_threadpool(redis.get, hold) != token:
        raise IdempotencyInProgress("Wait for its answer, then ask for that job.", headers={"Retry-After": "2"})
    renewing = asyncio.create_task(_renew(redis, hold, token))
    try:
        held = Claim(name, gateway)
        if known := await run_in_threadpool(redis.get, name):
            first_job, first_content = known.split()
            # A job that expired, was deleted or never came to be frees its key.
            if await run_in_threadpool(gateway.records.document, first_job, owner=owner):
                held = Claim(name, gateway, first_job, first_content)
        yield held
    finally:
        renewing.cancel()
        # Where the broker is away the hold ends by itself.
        with contextlib.suppress(RedisError):
            await run_in_threadpool(redis.eval, _RELEASE, 1, hold, token)


async def _renew(redis: Any, hold: str, token: str) -> None:  # noqa: ANN401  (redis-py's types)
    while True:
        await asyncio.sleep(HELD_S / 3)
        with contextlib.suppress(RedisError):
            await run_in_threadpool(redis.eval, _RENEW, 1, hold, token, HELD_S)
