"""Scripts of a job's end: outcomes are written, the document is made final."""

from dataclasses import dataclass
from typing import ClassVar

from shared.jobs.keys import Key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import CHANGED, EMIT, IS_FINAL, NOW, RELEASE, SETTLE


@dataclass(frozen=True, kw_only=True)
class WriteOutcome(Script[int]):
    """Write a branch's outcome, once.

    Returns 0 where the branch has another outcome or the job has ended, 1 where it was written, 2 where it was
    written and none is missing. With `is_measured`, the time that the work took enters the mean that admission reads.
    """

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + EMIT
        + SETTLE
        + IS_FINAL
        + """
-- A worker may have begun it since it was found to have waited too long.
local waits = false
for _, list in ipairs(waiting) do waits = waits or redis.call('ZSCORE', list, job_id) end
if only_waiting and not waits then return 0 end
-- Also where nothing is written: a job that is gone, or was ended by another release, must leave the lists.
settle(waiting, leases, working, job_id, branch)
local state = redis.call('HGET', record, 'state')
if not state or is_final(state) then return 0 end
local field = 'outcome:' .. branch
if redis.call('HSETNX', record, field, outcome) == 1 then
  local begun = redis.call('HGET', record, 'begun:' .. branch)
  if begun and is_measured then
    local mean = redis.call('HGET', pace, 'work:' .. branch)
    -- The broker's clock may be set while a worker works.
    local took = math.max(0, math.min(now - tonumber(begun), 600))
    redis.call('HSET', pace, 'work:' .. branch, mean and 0.8 * tonumber(mean) + 0.2 * took or took)
    redis.call('EXPIRE', pace, 2592000)
  end
  if waveforms then redis.call('SET', waves, waveforms, 'EX', ttl_s) end
  emit(events, job_id, 'branch', '{"branch":"' .. branch .. '","report":' .. report .. '}', ttl_s)
elseif redis.call('HGET', record, field) ~= outcome then
  return 0
end
for name in string.gmatch(redis.call('HGET', record, 'branches'), '%S+') do
  if redis.call('HEXISTS', record, 'outcome:' .. name) == 0 then return 1 end
end
redis.call('ZADD', ready, 'NX', now, job_id)
redis.call('EXPIRE', ready, ttl_s)
return 2
"""
    )

    record: Key
    events: Key
    waves: Key
    ready: Key
    #: The lists of jobs of each priority that wait for the branch.
    waiting: tuple[Key, ...]
    leases: Key
    working: Key
    pace: Key
    job_id: str
    branch: str
    outcome: str
    report: str
    waveforms: str | None
    ttl_s: int
    is_measured: bool
    only_waiting: bool


@dataclass(frozen=True, kw_only=True)
class FinishJob(Script[int]):
    """Make a job's document final, count it, and list its clip and its webhook.

    Returns 1 if this document is the job's, 0 if the job is gone or ended otherwise, `CHANGED` where `owner` and
    `branches` are not the record's.
    """

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + EMIT
        + RELEASE
        + SETTLE
        + IS_FINAL
        + f"""
local current = redis.call('HMGET', record, 'state', 'owner', 'branches')
if not current[1] then return 0 end
if (current[2] or '') ~= owner or current[3] ~= table.concat(branches, ' ') then return {CHANGED} end
"""
        + """
redis.call('ZREM', deadlines, job_id)
redis.call('ZREM', ready, job_id)
if is_final(current[1]) then return redis.call('HGET', record, 'document') == document and 1 or 0 end
redis.call('ZREM', active, job_id)
redis.call('ZREM', batch_active, job_id)
release(batch, batch_bytes, job_id)
redis.call('HSET', record, 'state', state, 'finished_at', finished_at, 'document', document)
for _, branch in ipairs(branches) do
  redis.call('HDEL', record, 'outcome:' .. branch, 'token:' .. branch)
  settle(waiting, leases, working, job_id, branch)
end
redis.call('EXPIRE', record, ttl_s)
redis.call('EXPIRE', waves, ttl_s)
if clip_key then
  -- Without its key, a clip that is not erased can't be read any more.
  redis.call('HDEL', record, 'seal')
  redis.call('ZADD', erase, now, clip_key)
  redis.call('EXPIRE', erase, ttl_s)
end
if has_webhook then
  redis.call('ZADD', webhooks, now, job_id)
  redis.call('EXPIRE', webhooks, ttl_s)
end
for _, name in ipairs(counted) do redis.call('HINCRBY', counters, name, 1) end
redis.call('EXPIRE', counters, counters_ttl_s)
redis.call('HINCRBY', usage, state, 1)
redis.call('HINCRBY', usage, 'clip_ms', clip_ms)
redis.call('EXPIRE', usage, usage_ttl_s)
emit(events, job_id, 'done', '{"state":"' .. state .. '"}', ttl_s)
return 1
"""
    )

    record: Key
    events: Key
    waves: Key
    deadlines: Key
    ready: Key
    erase: Key
    webhooks: Key
    counters: Key
    #: The owner's usage on the day of the job's end.
    usage: Key
    active: Key
    batch_active: Key
    batch: Key
    batch_bytes: Key
    leases: Key
    working: Key
    job_id: str
    owner: str
    state: str
    finished_at: str
    document: str
    clip_key: str | None
    has_webhook: bool
    ttl_s: int
    counters_ttl_s: int
    usage_ttl_s: int
    clip_ms: int
    branches: tuple[str, ...]
    waiting: tuple[Key, ...]
    counted: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReplaceWaveforms(Script[int]):
    """Replace a job's waveforms where there are any: the job may have been deleted meanwhile."""

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = """
if redis.call('EXISTS', waves) == 0 then return 0 end
redis.call('SET', waves, waveforms, 'KEEPTTL')
return 1
"""

    waves: Key
    waveforms: str
