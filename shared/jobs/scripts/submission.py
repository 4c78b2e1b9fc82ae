"""Scripts of submission: a job is created, deleted."""

from dataclasses import dataclass
from typing import ClassVar

from shared.jobs.keys import WAKE_CHANNEL, Key
from shared.jobs.lua import Script
from shared.jobs.scripts.common import CHANGED, KEEP, NOW, RELEASE, SETTLE


@dataclass(frozen=True, kw_only=True)
class CreateJob(Script[str]):
    """Write a job's record and queue its branches.

    Returns the time of creation, also for a job that exists; "" if there is no room. Negative limits are none. A batch
    job counts towards the clips of batch jobs alone, an interactive one towards all other limits.
    No client follows the job yet, so no gateway is woken.
    """

    source: ClassVar[str] = (
        NOW
        + KEEP
        + RELEASE
        + """
local created = redis.call('HGET', record, 'created')
if created then return created end
-- Of jobs that were lost with their records.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', batch, '-inf', now - 60, 'LIMIT', 0, 100)) do
  release(batch, batch_bytes, id)
end
if max_active >= 0 and redis.call('ZCARD', deadlines) - redis.call('ZCARD', batch) >= max_active then return '' end
local stored = tonumber(redis.call('HGET', batch_bytes, 'total') or '0')
if max_batch_bytes >= 0 and stored + clip_bytes > max_batch_bytes then return '' end
for i, queue in ipairs(queues) do
  if max_waiting[i] >= 0 and redis.call('LLEN', queue) >= max_waiting[i] then return '' end
end
local deadline = now + deadline_s
created = string.format('%.6f', now)
redis.call('HSET', record, 'deadline', deadline, 'created', created, 'branches', table.concat(branches, ' '),
  'state', 'queued', unpack(record_fields))
redis.call('EXPIRE', record, ttl_s)
for _, list in ipairs({deadlines, active}) do
  redis.call('ZADD', list, deadline, job_id)
  keep(list, ttl_s)
end
if is_batch then
  redis.call('HSET', record, 'priority', 'batch')
  redis.call('ZADD', batch, deadline, job_id)
  redis.call('HSET', batch_bytes, job_id, clip_bytes)
  redis.call('HINCRBY', batch_bytes, 'total', clip_bytes)
  keep(batch, ttl_s)
  keep(batch_bytes, ttl_s)
end
redis.call('XADD', events, '*', 'event', 'state', 'data', '{"state":"queued"}')
redis.call('EXPIRE', events, ttl_s)
for i, queue in ipairs(queues) do
  redis.call('ZADD', waiting[i], created, job_id)
  keep(waiting[i], ttl_s)
  redis.call('LPUSH', queue, messages[i])
end
redis.call('HINCRBY', usage, 'submitted', 1)
redis.call('EXPIRE', usage, usage_ttl_s)
return created
"""
    )

    record: Key
    events: Key
    deadlines: Key
    active: Key
    batch: Key
    batch_bytes: Key
    #: The owner's usage today.
    usage: Key
    usage_ttl_s: int
    job_id: str
    ttl_s: int
    deadline_s: float
    max_active: int
    is_batch: bool
    clip_bytes: int
    max_batch_bytes: int
    #: For each branch its queue, the list of jobs that wait for it, its message, and the most that its queue may hold.
    branches: tuple[str, ...]
    queues: tuple[Key, ...]
    waiting: tuple[Key, ...]
    messages: tuple[str, ...]
    max_waiting: tuple[int, ...]
    #: Names and values of further fields of the record, in turn.
    record_fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DeleteJob(Script[int]):
    """Erase all that the broker holds about a job, and list its clip for erasure.

    Returns whether there was such a job (1 or 0), or `CHANGED` where `owner` is not the record's ("": no record).
    """

    allow_oom: ClassVar[bool] = True
    source: ClassVar[str] = (
        NOW
        + RELEASE
        + SETTLE
        + f"""
if (redis.call('HGET', record, 'owner') or '') ~= owner then return {CHANGED} end
redis.call('ZREM', active, job_id)
redis.call('ZREM', batch_active, job_id)
release(batch, batch_bytes, job_id)
local is_batch = redis.call('HGET', record, 'priority') == 'batch'
local existed = redis.call('DEL', record)
redis.call('DEL', events, waves)
for _, list in ipairs({{deadlines, ready, webhooks}}) do redis.call('ZREM', list, job_id) end
for _, branch in ipairs(branches) do settle(waiting, leases, working, job_id, branch) end
-- It may be hours until a worker would take and drop it.
if is_batch then
  for i, queue in ipairs(batch_queues) do redis.call('LREM', queue, 1, batch_messages[i]) end
end
if clip_key then
  redis.call('ZADD', erase, now, clip_key)
  redis.call('EXPIRE', erase, ttl_s)
end
redis.call('PUBLISH', '{WAKE_CHANNEL}', job_id)
return existed
"""
    )

    record: Key
    events: Key
    waves: Key
    deadlines: Key
    ready: Key
    webhooks: Key
    leases: Key
    working: Key
    erase: Key
    active: Key
    batch_active: Key
    batch: Key
    batch_bytes: Key
    job_id: str
    owner: str
    clip_key: str | None
    ttl_s: int
    branches: tuple[str, ...]
    #: The lists of waiting jobs of every branch and priority.
    waiting: tuple[Key, ...]
    #: The queues of batch jobs, and the job's message for each.
    batch_queues: tuple[Key, ...]
    batch_messages: tuple[str, ...]
