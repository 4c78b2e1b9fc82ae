"""Quotas of one owner: submissions per minute, and active jobs. Decided in the broker, for all gateways together.

rate:{owner}     string   time at which the next submission conforms (generic cell rate algorithm, ITU-T I.371)
active:{owner}   zset     jobs without a final document, and uploads in progress, by the time at which they expire;
                          those of batch jobs in `active:{owner}.batch`
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

import redis

from shared.jobs.keys import PREFIX, Key, active_key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import NOW
from shared.schemas import Priority

#: Seconds after which the slot of an upload expires, so that a killed gateway does not keep it.
UPLOAD_HOLD_S: Final = 600


@dataclass(frozen=True, kw_only=True)
class Admit(Script[list[str]]):
    """Take a slot for an upload; returns an `Admission` and the seconds to wait."""

    source: ClassVar[str] = (
        NOW
        + """
redis.call('ZREMRANGEBYSCORE', active, '-inf', now)
-- The command was sent again because its reply was lost.
if redis.call('ZSCORE', active, slot) then return {'admitted', '0'} end
if max_active > 0 and redis.call('ZCARD', active) >= max_active then return {'too_many_active', '2'} end
if rate_per_min > 0 then
  local step = 60 / rate_per_min
  local due = math.max(tonumber(redis.call('GET', rate) or '0'), now) + step
  -- The submissions of one minute may arrive at once.
  if due - now > 60 + 1e-3 then return {'rate_exceeded', tostring(due - now - 60)} end
  redis.call('SET', rate, string.format('%.6f', due), 'EX', math.ceil(due - now) + 1)
end
redis.call('ZADD', active, now + hold_s, slot)
if redis.call('TTL', active) < hold_s then redis.call('EXPIRE', active, hold_s) end
if redis.call('EXISTS', api_key) == 1 then redis.call('HSET', api_key, 'last_used_at', time[1]) end
return {'admitted', '0'}
"""
    )

    rate: Key
    active: Key
    api_key: Key
    slot: str
    rate_per_min: int
    max_active: int
    hold_s: int


class Admission(StrEnum):
    """Whether a submission is admitted, and if not, which quota is exceeded."""

    ADMITTED = "admitted"
    RATE_EXCEEDED = "rate_exceeded"
    TOO_MANY_ACTIVE = "too_many_active"


@dataclass(frozen=True)
class Slot:
    """The decision on a submission, and the whole seconds after which a retry is useful."""

    admission: Admission
    wait_s: int


class Quotas:
    """Counts submissions by owner. Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client

    def acquire(
        self,
        owner: str,
        slot: str,
        *,
        rate_per_min: int,
        max_active: int,
        priority: Priority = Priority.INTERACTIVE,
    ) -> Slot:
        """Request a slot for an upload. 0 is no limit. A slot that was admitted must be released."""
        admission, wait = Admit(
            rate=Key(f"{PREFIX}rate:{owner}"),
            active=active_key(owner, priority),
            api_key=Key(PREFIX + owner),
            slot=slot,
            rate_per_min=rate_per_min,
            max_active=max_active,
            hold_s=UPLOAD_HOLD_S,
        ).run(self._redis)
        return Slot(Admission(admission), max(1, math.ceil(float(wait))))

    def release(self, owner: str, slot: str, priority: Priority = Priority.INTERACTIVE) -> None:
        """Release the slot of an upload. A job made from it is counted separately (`shared.jobs.scripts`)."""
        self._redis.zrem(active_key(owner, priority), slot)
