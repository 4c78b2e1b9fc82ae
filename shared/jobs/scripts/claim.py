"""Scripts of a worker's claim on a branch: it begins, is renewed, reports events."""

from dataclasses import dataclass
from typing import ClassVar

from shared.jobs.keys import Key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import EMIT, IS_FINAL, NOW


@dataclass(frozen=True, kw_only=True)
class BeginBranch(Script[str]):
    """Claim a branch for a worker; returns a value of `shared.jobs.leases.Begin`."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + EMIT
        + IS_FINAL
        + """
local state = redis.call('HGET', record, 'state')
if not state then return 'gone' end
if is_final(state) or redis.call('HEXISTS', record, 'outcome:' .. branch) == 1 then return 'done' end
local claim = job_id .. ' ' .. branch
local lease = redis.call('ZSCORE', leases, claim)
local holder = redis.call('HGET', record, 'token:' .. branch)
if lease and tonumber(lease) > now and holder ~= '' then return holder == token and 'go' or 'busy' end
if redis.call('HINCRBY', record, 'try:' .. branch, 1) > max_tries then return 'exhausted' end
redis.call('HSET', record, 'token:' .. branch, token, 'status:' .. branch, 'running', 'begun:' .. branch, now)
for _, list in ipairs(waiting) do redis.call('ZREM', list, job_id) end
local batch = redis.call('HGET', record, 'priority') == 'batch'
redis.call('HSET', pace, 'begun:' .. branch .. (batch and '.batch' or ''), now)
redis.call('EXPIRE', pace, 2592000)
redis.call('ZADD', leases, now + lease_s, claim)
redis.call('EXPIRE', leases, 86400)
redis.call('ZADD', working, now + work_s, claim)
redis.call('EXPIRE', working, 86400)
if state == 'queued' then
  redis.call('HSET', record, 'state', 'running')
  emit(events, job_id, 'state', '{"state":"running"}', ttl_s)
end
local report = '{"status":"running","elapsed_ms":null,"error":null}'
emit(events, job_id, 'branch', '{"branch":"' .. branch .. '","report":' .. report .. '}', ttl_s)
return 'go'
"""
    )

    record: Key
    events: Key
    leases: Key
    working: Key
    #: The lists of jobs of each priority that wait for the branch.
    waiting: tuple[Key, ...]
    pace: Key
    job_id: str
    branch: str
    token: str
    max_tries: int
    lease_s: float
    work_s: float
    ttl_s: int


@dataclass(frozen=True, kw_only=True)
class RenewLease(Script[int]):
    """Extend a worker's lease on a branch; returns 0 where it holds none any more."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + """
if redis.call('HGET', record, 'token:' .. branch) ~= token then return 0 end
if redis.call('HEXISTS', record, 'outcome:' .. branch) == 1 then return 0 end
redis.call('ZADD', leases, now + lease_s, job_id .. ' ' .. branch)
return 1
"""
    )

    record: Key
    leases: Key
    job_id: str
    branch: str
    token: str
    lease_s: float


@dataclass(frozen=True, kw_only=True)
class AppendEvent(Script[int]):
    """Append an event to a job's stream; returns 0 where the job, or the branch that reports it, has ended.

    The token distinguishes a command that was sent again from another with the same content: a check may fail, pass and
    fail again. What a branch finds after its outcome was written is not reported: the document is assembled without it.
    """

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        EMIT
        + IS_FINAL
        + """
local state = redis.call('HGET', record, 'state')
if not state or is_final(state) then return 0 end
if branch and redis.call('HEXISTS', record, 'outcome:' .. branch) == 1 then return 0 end
for _, entry in ipairs(redis.call('XREVRANGE', events, '+', '-', 'COUNT', 8)) do
  if entry[2][6] == token then return 1 end
end
emit(events, job_id, name, data, ttl_s, token)
return 1
"""
    )

    record: Key
    events: Key
    job_id: str
    name: str
    data: str
    token: str
    ttl_s: int
    branch: str | None
