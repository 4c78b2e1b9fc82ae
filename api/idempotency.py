"""`Idempotency-Key`: the same request twice makes one job."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool

from api.gateway import Gateway
from api.problems import IdempotencyConflict, IdempotencyInProgress
from shared.records import PREFIX

#: A request that is being served holds its key this long at most, seconds.
HELD_S: Final = 300

_BUSY: Final = "busy"


@dataclass
class Claim:
    """A key that this request holds, and what it was used for before."""

    first_job: str | None = None
    first_content: str | None = None
    job: str | None = None
    content: str | None = None

    def repeated(self, content: str) -> str | None:
        """The job that this content made before, if the key was used.

        Raises:
            IdempotencyConflict: the key belongs to other content.
        """
        if self.first_job is None or self.first_content == content:
            return self.first_job
        raise IdempotencyConflict("Use a new Idempotency-Key for another clip or other options.")

    def keep(self, job: str, content: str) -> None:
        """Remember what the key made."""
        self.job, self.content = job, content


@asynccontextmanager
async def claim(gateway: Gateway, owner: str, key: str) -> AsyncIterator[Claim]:
    """Hold `key` while its request is served.

    Raises:
        IdempotencyInProgress: another request holds it.
    """
    name = f"{PREFIX}idem:{owner}:{hashlib.sha256(key.encode()).hexdigest()}"
    redis = gateway.records.redis
    claimed = await run_in_threadpool(redis.set, name, _BUSY, nx=True, ex=HELD_S)
    known: str | None = None if claimed else await run_in_threadpool(redis.get, name)
    if known == _BUSY:
        raise IdempotencyInProgress("Wait for its answer, then ask for that job.", headers={"Retry-After": "2"})
    held = Claim()
    if known:
        first_job, first_content = known.split()
        # A job that expired or was deleted frees its key.
        if await run_in_threadpool(gateway.records.document, first_job, owner=owner):
            held = Claim(first_job, first_content)
    try:
        yield held
    finally:
        if held.job:
            await run_in_threadpool(redis.set, name, f"{held.job} {held.content}", ex=gateway.settings.result_ttl_s)
        elif claimed:
            await run_in_threadpool(redis.delete, name)
