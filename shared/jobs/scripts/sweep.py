"""Scripts of the sweep: lost claims and lost messages are found and queued again."""

from dataclasses import dataclass
from typing import ClassVar

from shared.jobs.keys import Key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import IS_FINAL, KEEP, NOW, SETTLE


@dataclass(frozen=True, kw_only=True)
class TakeLostClaims(Script[list[str]]):
    """Return claims ("id branch") whose lease ended; each is handed to one sweep for `hold_s` seconds."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + """
local lost = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, 100)
for _, claim in ipairs(lost) do redis.call('ZADD', leases, now + hold_s, claim) end
return lost
"""
    )

    leases: Key
    hold_s: float


@dataclass(frozen=True, kw_only=True)
class RetryBranch(Script[int]):
    """Queue a branch again whose worker was lost.

    Returns 0 where there is nothing to do, 1 where it waits again, 2 where no try is left. It waits at the head of its
    queue, where it was before, and its waiting time starts anew.
    """

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + KEEP
        + SETTLE
        + IS_FINAL
        + """
local state = redis.call('HGET', record, 'state')
if not state or is_final(state) or redis.call('HEXISTS', record, 'outcome:' .. branch) == 1 then
  settle(waiting, leases, working, job_id, branch)
  return 0
end
if not redis.call('ZSCORE', leases, job_id .. ' ' .. branch) then return 0 end
redis.call('HSET', record, 'token:' .. branch, '')
if tonumber(redis.call('HGET', record, 'try:' .. branch) or '0') >= max_tries then return 2 end
settle(waiting, leases, working, job_id, branch)
redis.call('HSET', record, 'status:' .. branch, 'pending', 'waits_since:' .. branch, now, 'again:' .. branch, now)
local i = redis.call('HGET', record, 'priority') == 'batch' and 2 or 1
redis.call('ZADD', waiting[i], redis.call('HGET', record, 'created') or now, job_id)
keep(waiting[i], 86400)
redis.call('RPUSH', queues[i], messages[i])
return 1
"""
    )

    record: Key
    leases: Key
    working: Key
    job_id: str
    branch: str
    max_tries: int
    #: For interactive and for batch jobs the list of those that wait, the queue, and the job's message for it.
    waiting: tuple[Key, ...]
    queues: tuple[Key, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TakeStranded(Script[list[str]]):
    """Return those of the jobs that still wait and were created by `horizon`; each is handed to one sweep.

    A job that has ended leaves the list of what waits.
    """

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + IS_FINAL
        + """
local stranded = {}
for i, job_id in ipairs(job_ids) do
  local created = redis.call('ZSCORE', waiting, job_id)
  if created and tonumber(created) <= horizon then
    local known = redis.call('HMGET', records[i], 'state', 'outcome:' .. branch, 'again:' .. branch)
    if not known[1] or is_final(known[1]) or known[2] then
      redis.call('ZREM', waiting, job_id)
    elseif not (known[3] and now - tonumber(known[3]) < hold_s) then
      redis.call('HSET', records[i], 'again:' .. branch, now)
      table.insert(stranded, job_id)
    end
  end
end
return stranded
"""
    )

    waiting: Key
    branch: str
    horizon: float
    hold_s: float
    job_ids: tuple[str, ...]
    records: tuple[Key, ...]


@dataclass(frozen=True, kw_only=True)
class Requeue(Script[int]):
    """Put a message at the head of its queue: its job is older than all that waits there."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = "return redis.call('RPUSH', queue, message)"

    queue: Key
    message: str
