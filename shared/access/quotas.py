"""How much one key may have at once and how often it may submit: decided in the broker, for all gateways together.

rate:{owner}     string   when the next submission would be on time (generic cell rate algorithm)
active:{owner}   zset     jobs without a final document, and uploads under way, by the time they count no more
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis

from shared.jobs.records import ACTIVE, PREFIX

#: An upload under way holds its place this long at most: a gateway that died gives it back.
UPLOAD_HOLD_S: Final = 600

# KEYS rate active key; ARGV place rate_per_min max_active hold_s. {verdict, seconds to wait}
_ADMIT: Final = """
local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6
local rate, most = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
-- The command came again because its answer was lost.
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return {'go', '0'} end
if most > 0 and redis.call('ZCARD', KEYS[2]) >= most then return {'busy', '2'} end
if rate > 0 then
  local step = 60 / rate
  local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + step
  -- A whole minute's worth may come at once.
  if due - now > 60 + 1e-3 then return {'fast', tostring(due - now - 60)} end
  redis.call('SET', KEYS[1], string.format('%.6f', due), 'EX', math.ceil(due - now) + 1)
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[1])
if redis.call('TTL', KEYS[2]) < tonumber(ARGV[4]) then redis.call('EXPIRE', KEYS[2], ARGV[4]) end
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HSET', KEYS[3], 'last_used_at', t[1]) end
return {'go', '0'}
"""


class Verdict(StrEnum):
    """Whether a submission may go on."""

    GO = "go"
    FAST = "fast"
    BUSY = "busy"


@dataclass(frozen=True)
class Place:
    """The verdict, and the whole seconds after which another try makes sense."""

    verdict: Verdict
    wait_s: int


class Quotas:
    """Counts submissions by owner. Safe to share between threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._admit = client.register_script(_ADMIT)

    def ask(self, owner: str, place: str, *, rate_per_min: int, max_active: int) -> Place:
        """Ask for a place for an upload; 0 is no limit. A place that was given must be given back."""
        keys = [f"{PREFIX}rate:{owner}", ACTIVE + owner, PREFIX + owner]
        verdict, wait = self._admit(keys=keys, args=[place, rate_per_min, max_active, UPLOAD_HOLD_S])
        return Place(Verdict(verdict), max(1, math.ceil(float(wait))))

    def give_back(self, owner: str, place: str) -> None:
        """The upload is over; its job, if it made one, counts by itself (`shared.jobs.lua`)."""
        self._redis.zrem(ACTIVE + owner, place)
