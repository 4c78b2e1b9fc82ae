"""How much one key may have at once and how often it may submit: decided in the broker, for all gateways together.

rate:{owner}     string   when the next submission would be on time (generic cell rate algorithm)
active:{owner}   zset     jobs without a final document, and uploads under way, by the time they count no more
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

import redis

from shared.jobs.keys import PREFIX, Key, active_key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import NOW

#: An upload under way holds its place this long at most: a gateway that died gives it back.
UPLOAD_HOLD_S: Final = 600


@dataclass(frozen=True, kw_only=True)
class Admit(Script[list[str]]):
    """Take a place for an upload; returns a `Verdict` and the seconds to wait."""

    source: ClassVar[str] = (
        NOW
        + """
redis.call('ZREMRANGEBYSCORE', active, '-inf', now)
-- The command came again because its answer was lost.
if redis.call('ZSCORE', active, place) then return {'go', '0'} end
if max_active > 0 and redis.call('ZCARD', active) >= max_active then return {'busy', '2'} end
if rate_per_min > 0 then
  local step = 60 / rate_per_min
  local due = math.max(tonumber(redis.call('GET', rate) or '0'), now) + step
  -- A whole minute's worth may come at once.
  if due - now > 60 + 1e-3 then return {'fast', tostring(due - now - 60)} end
  redis.call('SET', rate, string.format('%.6f', due), 'EX', math.ceil(due - now) + 1)
end
redis.call('ZADD', active, now + hold_s, place)
if redis.call('TTL', active) < hold_s then redis.call('EXPIRE', active, hold_s) end
if redis.call('EXISTS', api_key) == 1 then redis.call('HSET', api_key, 'last_used_at', time[1]) end
return {'go', '0'}
"""
    )

    rate: Key
    active: Key
    api_key: Key
    place: str
    rate_per_min: int
    max_active: int
    hold_s: int


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

    def ask(self, owner: str, place: str, *, rate_per_min: int, max_active: int) -> Place:
        """Ask for a place for an upload; 0 is no limit. A place that was given must be given back."""
        verdict, wait = Admit(
            rate=Key(f"{PREFIX}rate:{owner}"),
            active=active_key(owner),
            api_key=Key(PREFIX + owner),
            place=place,
            rate_per_min=rate_per_min,
            max_active=max_active,
            hold_s=UPLOAD_HOLD_S,
        ).run(self._redis)
        return Place(Verdict(verdict), max(1, math.ceil(float(wait))))

    def give_back(self, owner: str, place: str) -> None:
        """The upload is over; its job, if it made one, counts by itself (`shared.jobs.scripts`)."""
        self._redis.zrem(active_key(owner), place)
