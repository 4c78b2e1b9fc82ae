"""Webhooks that are due, in the broker: they outlive every gateway, and one gateway at a time tries each.

`shared.jobs.lua.FINISH` enters a job that asked for one; the job's record counts the tries and holds the document.

    webhooks   zset   job id by the time of the next try
    counters   hash   what came of tries, by `Outcome`
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
import structlog

from shared.jobs.records import COUNTERS, COUNTERS_TTL_S, WEBHOOKS, JobRecords
from shared.schemas import JobOptions

#: A gateway that took a webhook and was not heard of again has lost it to the next one. Above the longest try.
HOLD_S: Final = 60
#: What `Outcome`s are counted under in `shared.jobs.records.COUNTERS`.
COUNTED: Final = "webhooks"


log = structlog.get_logger()


class Outcome(StrEnum):
    """What came of a try. All but `RETRIED` end the webhook."""

    DELIVERED = "delivered"
    #: Not taken; there will be another try.
    RETRIED = "retried"
    #: Not taken, and it was the last try.
    GIVEN_UP = "given_up"
    #: 410: the receiver wants no more.
    GONE = "gone"
    #: Its name leads to where gateways do not go.
    REFUSED = "refused"
    #: Its key was revoked.
    UNSIGNED = "unsigned"
    #: Its job's record can't be used.
    BROKEN = "broken"


# KEYS webhooks; ARGV hold_s most. Due ones, each handed to one gateway for `hold_s`, and those whose job's record is of
# another kind; a job that is gone is dropped. One bad record must not end the script: it would come first for ever.
_TAKE: Final = """
local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6
local taken, broken = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local ended = redis.pcall('HEXISTS', 'fv:job:' .. id, 'document')
  if ended == 0 then
    redis.call('ZREM', KEYS[1], id)
  else
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), id)
    local tries = ended == 1 and redis.pcall('HINCRBY', 'fv:job:' .. id, 'webhook_tries', 1)
    local list = type(tries) == 'number' and taken or broken
    list[#list + 1] = id
  end
end
return {taken, broken}
"""

# KEYS webhooks; ARGV id wait_s
_LATER: Final = """
local t = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'XX', t[1] + t[2] / 1e6 + tonumber(ARGV[2]), ARGV[1])
"""


# KEYS webhooks job; ARGV id wait_s
_PUT_BACK: Final = """
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'webhook_tries', -1)
local t = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'XX', t[1] + t[2] / 1e6 + tonumber(ARGV[2]), ARGV[1])
"""


@dataclass(frozen=True)
class Webhook:
    """One webhook to try now; `tries` counts this one."""

    job_id: str
    url: str
    owner: str
    tries: int
    state: str
    finished_at: str
    document: str
    #: The same at every try, so that a receiver can tell a repetition.
    message_id: str

    @property
    def body(self) -> str:
        """What is sent: the same bytes at every try."""
        head = f'{{"type":"job.{self.state}","timestamp":"{self.finished_at}","data":'
        return f"{head}{self.document}}}"


class Webhooks:
    """All that happens to webhooks that are due. Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._take, self._later = client.register_script(_TAKE), client.register_script(_LATER)
        self._put_back = client.register_script(_PUT_BACK)

    def take(self, most: int) -> list[Webhook]:
        """Up to `most` that are due, for this process to try within `HOLD_S`; those that can't be used are over.

        Raises:
            redis.exceptions.RedisError: the broker is away.
        """
        taken, broken = self._take(keys=[WEBHOOKS], args=[HOLD_S, most])
        webhooks = []
        for job_id in taken:
            try:
                webhooks.append(self._read(job_id))
            except (ValueError, TypeError) as error:
                log.warning("webhook given up", job=job_id, why="its record can't be read", error=type(error).__name__)
                self.over(job_id, Outcome.BROKEN)
        for job_id in broken:
            log.warning("webhook given up", job=job_id, why="its record is of another kind")
            self.over(job_id, Outcome.BROKEN)
        return webhooks

    def _read(self, job_id: str) -> Webhook:
        required = ("options", "owner", "webhook_tries", "state", "finished_at", "document")
        *values, random_id = self._redis.hmget(JobRecords.key(job_id), *required, "webhook_id")
        if missing := [name for name, value in zip(required, values, strict=True) if value is None]:
            raise ValueError(f"the record lacks {', '.join(missing)}")
        options, owner, tries, state, finished_at, document = values
        url = JobOptions.read(options).webhook_url
        if not url:
            raise ValueError("the record names no webhook")
        # An older release made no id of its own: its webhooks keep theirs through an upgrade.
        message_id = f"msg_{random_id or job_id}"
        return Webhook(job_id, url, owner, int(tries), state, finished_at, document, message_id)

    def waiting(self) -> int:
        """Webhooks that are neither delivered nor given up."""
        return int(self._redis.zcard(WEBHOOKS))

    @contextmanager
    def _counting(self, outcome: Outcome) -> Iterator[Any]:
        with self._redis.pipeline() as pipe:
            yield pipe
            pipe.hincrby(COUNTERS, f"{COUNTED}:{outcome}", 1)
            pipe.expire(COUNTERS, COUNTERS_TTL_S)
            pipe.execute()

    def over(self, job_id: str, outcome: Outcome) -> None:
        """It was delivered, or given up."""
        with self._counting(outcome) as pipe:
            pipe.zrem(WEBHOOKS, job_id)

    def put_back(self, job_id: str, wait_s: float) -> None:
        """It was taken and not tried: that counts as no try."""
        self._put_back(keys=[WEBHOOKS, JobRecords.key(job_id)], args=[job_id, wait_s])

    def later(self, job_id: str, wait_s: float) -> None:
        """Try it again after `wait_s`; one whose job was deleted meanwhile stays gone."""
        with self._counting(Outcome.RETRIED) as pipe:
            self._later(keys=[WEBHOOKS], args=[job_id, wait_s], client=pipe)
