"""Quotas of one owner: submissions per minute, and active jobs. Decided in the broker, for all gateways together.

rate:{owner}     string   time at which the next submission conforms (generic cell rate algorithm, ITU-T I.371)
active:{owner}   zset     jobs without a final document, and uploads in progress, by the time at which they expire
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis

from shared.jobs.records import ACTIVE, PREFIX

#: Seconds after which the slot of an upload expires, so that a killed gateway does not keep it.
UPLOAD_HOLD_S: Final = 600

#: KEYS: rate, active, API key. ARGV: slot, rate_per_min, max_active, hold_s. Returns an `Admission` and seconds to
#: wait.
_ADMIT: Final = """
local rate_key, active_key, api_key = unpack(KEYS)
local slot, rate_per_min, max_active, hold_s = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6
redis.call('ZREMRANGEBYSCORE', active_key, '-inf', now)
-- The command was sent again because its reply was lost.
if redis.call('ZSCORE', active_key, slot) then return {'admitted', '0'} end
if max_active > 0 and redis.call('ZCARD', active_key) >= max_active then return {'too_many_active', '2'} end
if rate_per_min > 0 then
  local step = 60 / rate_per_min
  local due = math.max(tonumber(redis.call('GET', rate_key) or '0'), now) + step
  -- The submissions of one minute may arrive at once.
  if due - now > 60 + 1e-3 then return {'rate_exceeded', tostring(due - now - 60)} end
  redis.call('SET', rate_key, string.format('%.6f', due), 'EX', math.ceil(due - now) + 1)
end
redis.call('ZADD', active_key, now + hold_s, slot)
if redis.call('TTL', active_key) < hold_s then redis.call('EXPIRE', active_key, hold_s) end
if redis.call('EXISTS', api_key) == 1 then redis.call('HSET', api_key, 'last_used_at', t[1]) end
return {'admitted', '0'}
"""


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
    """Count submissions by owner. Thread-safe."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._admit = client.register_script(_ADMIT)

    def acquire(self, owner: str, slot: str, *, rate_per_min: int, max_active: int) -> Slot:
        """Request a slot for an upload. 0 is no limit. A slot that was admitted must be released."""
        keys = [f"{PREFIX}rate:{owner}", ACTIVE + owner, PREFIX + owner]
        admission, wait = self._admit(keys=keys, args=[slot, rate_per_min, max_active, UPLOAD_HOLD_S])
        return Slot(Admission(admission), max(1, math.ceil(float(wait))))

    def release(self, owner: str, slot: str) -> None:
        """Release the slot of an upload. A job made from it is counted separately (`shared.jobs.lua`)."""
        self._redis.zrem(ACTIVE + owner, slot)
