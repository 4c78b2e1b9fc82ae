"""Scripts of webhooks: those that are due are handed to one gateway each."""

from dataclasses import dataclass
from typing import ClassVar

from shared.jobs.keys import Key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import NOW


@dataclass(frozen=True, kw_only=True)
class ListDueWebhooks(Script[list[str]]):
    """Return up to `limit` jobs whose webhook is due."""

    source: ClassVar[str] = NOW + "return redis.call('ZRANGEBYSCORE', webhooks, '-inf', now, 'LIMIT', 0, limit)"

    webhooks: Key
    limit: int


@dataclass(frozen=True, kw_only=True)
class TakeWebhooks(Script[list[list[str]]]):
    """Hand those of the webhooks that are still due to one gateway for `hold_s` seconds.

    Returns those to attempt now, and those whose job's record is of another type. A job that is gone is dropped. One
    bad record must not end the script: it would be the first one again each time.
    """

    source: ClassVar[str] = (
        NOW
        + """
local taken, broken = {}, {}
for i, job_id in ipairs(job_ids) do
  local due = redis.call('ZSCORE', webhooks, job_id)
  if due and tonumber(due) <= now then
    local ended = redis.pcall('HEXISTS', records[i], 'document')
    if ended == 0 then
      redis.call('ZREM', webhooks, job_id)
    else
      redis.call('ZADD', webhooks, now + hold_s, job_id)
      local tries = ended == 1 and redis.pcall('HINCRBY', records[i], 'webhook_tries', 1)
      table.insert(type(tries) == 'number' and taken or broken, job_id)
    end
  end
end
return {taken, broken}
"""
    )

    webhooks: Key
    hold_s: float
    job_ids: tuple[str, ...]
    records: tuple[Key, ...]


@dataclass(frozen=True, kw_only=True)
class PostponeWebhook(Script[int]):
    """Plan the next attempt of a webhook that is still listed."""

    source: ClassVar[str] = NOW + "return redis.call('ZADD', webhooks, 'XX', now + wait_s, job_id)"

    webhooks: Key
    job_id: str
    wait_s: float


@dataclass(frozen=True, kw_only=True)
class PutBackWebhook(Script[int]):
    """Plan the next attempt of a webhook that was taken and not attempted: that counts as no attempt."""

    source: ClassVar[str] = (
        NOW
        + """
if redis.call('EXISTS', record) == 0 then return 0 end
redis.call('HINCRBY', record, 'webhook_tries', -1)
return redis.call('ZADD', webhooks, 'XX', now + wait_s, job_id)
"""
    )

    webhooks: Key
    record: Key
    job_id: str
    wait_s: float
