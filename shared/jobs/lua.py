"""Lua that the broker runs whole: every decision about a job that two processes could make at once.

Keys and arguments stand above each script; `shared.jobs.records` is the only caller. redis-py sends a command again
when its answer was lost: each script gives its second call the answer of the first, and does nothing twice.

A broker at its `maxmemory` refuses what would take more of it. CREATE is refused then, and so is the upload; whatever
carries an accepted job to its end, or frees memory, is let through (`allow-oom`, Redis 7.0 and Valkey).
"""

from typing import Final

_LET_THROUGH: Final = "#!lua flags=allow-oom\n"
_NOW: Final = "local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6\n"
_EMIT: Final = """
local function emit(events, job, name, data, ttl, token)
  local entry = {'event', name, 'data', data}
  if token then entry[5], entry[6] = 'token', token end
  redis.call('XADD', events, 'MAXLEN', '~', 500, '*', unpack(entry))
  redis.call('EXPIRE', events, ttl)
  redis.call('PUBLISH', 'fv:wake', job)
end
-- The owner's place is free for the next job.
local function leave(job, id)
  local owner = redis.call('HGET', job, 'owner')
  if owner then redis.call('ZREM', 'fv:active:' .. owner, id) end
end
-- A branch neither waits nor is worked on.
local function settle(id, branch)
  redis.call('ZREM', 'fv:waiting:' .. branch, id)
  redis.call('ZREM', 'fv:leases', id .. ' ' .. branch)
  redis.call('ZREM', 'fv:working', id .. ' ' .. branch)
end
local function final(state) return state == 'succeeded' or state == 'failed' or state == 'cancelled' end
"""

# KEYS job events deadlines active queues…
# ARGV id ttl deadline_s branches most_active, then for each queue its branch, its message and the most that may wait
# in it (-1: any number), then fields…
# The time of making, as text: the job is there. An empty text: no room. Nobody follows the job yet, nobody is woken.
CREATE: Final = (
    _NOW
    + """
local made = redis.call('HGET', KEYS[1], 'created')
if made then return made end
local most = tonumber(ARGV[5])
if most >= 0 and redis.call('ZCARD', KEYS[3]) >= most then return '' end
for i = 5, #KEYS do
  local may_wait = tonumber(ARGV[6 + 3 * (i - 5) + 2])
  if may_wait >= 0 and redis.call('LLEN', KEYS[i]) >= may_wait then return '' end
end
local deadline, created = now + tonumber(ARGV[3]), string.format('%.6f', now)
redis.call('HSET', KEYS[1], 'deadline', deadline, 'created', created, 'branches', ARGV[4], 'state', 'queued',
  unpack(ARGV, 6 + 3 * (#KEYS - 4)))
redis.call('EXPIRE', KEYS[1], ARGV[2])
for i = 3, 4 do
  redis.call('ZADD', KEYS[i], deadline, ARGV[1])
  redis.call('EXPIRE', KEYS[i], ARGV[2])
end
redis.call('XADD', KEYS[2], '*', 'event', 'state', 'data', '{"state":"queued"}')
redis.call('EXPIRE', KEYS[2], ARGV[2])
for i = 5, #KEYS do
  local branch = ARGV[6 + 3 * (i - 5)]
  redis.call('ZADD', 'fv:waiting:' .. branch, created, ARGV[1])
  redis.call('EXPIRE', 'fv:waiting:' .. branch, ARGV[2])
  redis.call('LPUSH', KEYS[i], ARGV[6 + 3 * (i - 5) + 1])
end
return created
"""
)

# KEYS job events leases working; ARGV id branch token max_tries lease_s ttl work_s
BEGIN: Final = (
    _LET_THROUGH
    + _NOW
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'gone' end
if final(state) or redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[2]) == 1 then return 'done' end
local member = ARGV[1] .. ' ' .. ARGV[2]
local lease = redis.call('ZSCORE', KEYS[3], member)
local holder = redis.call('HGET', KEYS[1], 'token:' .. ARGV[2])
if lease and tonumber(lease) > now and holder ~= '' then return holder == ARGV[3] and 'go' or 'busy' end
if redis.call('HINCRBY', KEYS[1], 'try:' .. ARGV[2], 1) > tonumber(ARGV[4]) then return 'exhausted' end
redis.call('HSET', KEYS[1], 'token:' .. ARGV[2], ARGV[3], 'status:' .. ARGV[2], 'running', 'begun:' .. ARGV[2], now)
redis.call('ZREM', 'fv:waiting:' .. ARGV[2], ARGV[1])
redis.call('HSET', 'fv:pace', 'begun:' .. ARGV[2], now)
redis.call('EXPIRE', 'fv:pace', 2592000)
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[5]), member)
redis.call('EXPIRE', KEYS[3], 86400)
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[7]), member)
redis.call('EXPIRE', KEYS[4], 86400)
if state == 'queued' then
  redis.call('HSET', KEYS[1], 'state', 'running')
  emit(KEYS[2], ARGV[1], 'state', '{"state":"running"}', ARGV[6])
end
local report = '{"status":"running","elapsed_ms":null,"error":null}'
emit(KEYS[2], ARGV[1], 'branch', '{"branch":"' .. ARGV[2] .. '","report":' .. report .. '}', ARGV[6])
return 'go'
"""
)

# KEYS job leases; ARGV id branch token lease_s
RENEW: Final = (
    _LET_THROUGH
    + _NOW
    + """
if redis.call('HGET', KEYS[1], 'token:' .. ARGV[2]) ~= ARGV[3] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[2]) == 1 then return 0 end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[1] .. ' ' .. ARGV[2])
return 1
"""
)

# KEYS job events; ARGV id name data ttl token branch. The token tells a command that was sent again from another of the
# same words: a check may fail, pass and fail again. What a branch finds after it was given its outcome is not reported:
# the document is put together without it.
EVENT: Final = (
    _LET_THROUGH
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state or final(state) then return 0 end
if ARGV[6] ~= '' and redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[6]) == 1 then return 0 end
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 8)) do
  if entry[2][6] == ARGV[5] then return 1 end
end
emit(KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return 1
"""
)

# KEYS job events ready waves; ARGV id branch outcome report ttl waves measured only_waiting
# 0: it had an outcome already, 1: written, 2: written, and it was the last one missing. `measured` (1 or 0): how long
# the work took goes into the mean that admission reads.
OUTCOME: Final = (
    _LET_THROUGH
    + _NOW
    + _EMIT
    + """
-- A worker has begun it since it was found to have waited too long.
if ARGV[8] == '1' and not redis.call('ZSCORE', 'fv:waiting:' .. ARGV[2], ARGV[1]) then return 0 end
-- Whatever the answer: a job that is gone, or that another release ended, must not be found overdue for ever.
settle(ARGV[1], ARGV[2])
local state = redis.call('HGET', KEYS[1], 'state')
if not state or final(state) then return 0 end
local field = 'outcome:' .. ARGV[2]
if redis.call('HSETNX', KEYS[1], field, ARGV[3]) == 1 then
  local begun = redis.call('HGET', KEYS[1], 'begun:' .. ARGV[2])
  if begun and ARGV[7] == '1' then
    local mean = redis.call('HGET', 'fv:pace', 'work:' .. ARGV[2])
    -- The broker's clock may be set while a worker works.
    local took = math.max(0, math.min(now - tonumber(begun), 600))
    redis.call('HSET', 'fv:pace', 'work:' .. ARGV[2], mean and 0.8 * tonumber(mean) + 0.2 * took or took)
    redis.call('EXPIRE', 'fv:pace', 2592000)
  end
  if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[6], 'EX', ARGV[5]) end
  emit(KEYS[2], ARGV[1], 'branch', '{"branch":"' .. ARGV[2] .. '","report":' .. ARGV[4] .. '}', ARGV[5])
elseif redis.call('HGET', KEYS[1], field) ~= ARGV[3] then
  return 0
end
for branch in string.gmatch(redis.call('HGET', KEYS[1], 'branches'), '%S+') do
  if redis.call('HEXISTS', KEYS[1], 'outcome:' .. branch) == 0 then return 1 end
end
redis.call('ZADD', KEYS[3], 'NX', now, ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[5])
return 2
"""
)

# KEYS job events deadlines ready erase counters webhooks
# ARGV id state finished_at document ttl clip_key webhook counters_ttl counters…
FINISH: Final = (
    _LET_THROUGH
    + _NOW
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
if final(state) then return redis.call('HGET', KEYS[1], 'document') == ARGV[4] and 1 or 0 end
leave(KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'finished_at', ARGV[3], 'document', ARGV[4])
for branch in string.gmatch(redis.call('HGET', KEYS[1], 'branches'), '%S+') do
  redis.call('HDEL', KEYS[1], 'outcome:' .. branch, 'token:' .. branch)
  settle(ARGV[1], branch)
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[1] .. ':waves', ARGV[5])
if ARGV[6] ~= '' then
  -- What the eraser leaves can't be read any more.
  redis.call('HDEL', KEYS[1], 'seal')
  redis.call('ZADD', KEYS[5], now, ARGV[6])
  redis.call('EXPIRE', KEYS[5], ARGV[5])
end
if ARGV[7] ~= '' then
  redis.call('ZADD', KEYS[7], now, ARGV[1])
  redis.call('EXPIRE', KEYS[7], ARGV[5])
end
for i = 9, #ARGV do redis.call('HINCRBY', KEYS[6], ARGV[i], 1) end
redis.call('EXPIRE', KEYS[6], ARGV[8])
emit(KEYS[2], ARGV[1], 'done', '{"state":"' .. ARGV[2] .. '"}', ARGV[5])
return 1
"""
)

# KEYS leases; ARGV hold_s. Expired claims, each handed to one sweeper for `hold_s`.
LOST: Final = (
    _LET_THROUGH
    + _NOW
    + """
local lost = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
for _, member in ipairs(lost) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), member) end
return lost
"""
)

# KEYS job leases queue; ARGV id branch max_tries message. 0: nothing to do, 1: it waits again, 2: no try left
# It waits at the head of its queue, where it was before, and with a new clock.
LOSE: Final = (
    _LET_THROUGH
    + _NOW
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
local member = ARGV[1] .. ' ' .. ARGV[2]
if not state or final(state) or redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[2]) == 1 then
  settle(ARGV[1], ARGV[2])
  return 0
end
if not redis.call('ZSCORE', KEYS[2], member) then return 0 end
redis.call('HSET', KEYS[1], 'token:' .. ARGV[2], '')
if tonumber(redis.call('HGET', KEYS[1], 'try:' .. ARGV[2]) or '0') >= tonumber(ARGV[3]) then return 2 end
settle(ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1], 'status:' .. ARGV[2], 'pending', 'waits_since:' .. ARGV[2], now, 'again:' .. ARGV[2], now)
redis.call('ZADD', 'fv:waiting:' .. ARGV[2], redis.call('HGET', KEYS[1], 'created') or now, ARGV[1])
redis.call('EXPIRE', 'fv:waiting:' .. ARGV[2], 86400)
redis.call('RPUSH', KEYS[3], ARGV[4])
return 1
"""
)

# KEYS waiting; ARGV prefix horizon branch hold_s. Jobs made by `horizon` whose branch was not begun, each handed to one
# sweeper for `hold_s`.
STRANDED: Final = (
    _LET_THROUGH
    + _NOW
    + _EMIT
    + """
local stranded = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, 500)) do
  local known = redis.call('HMGET', ARGV[1] .. id, 'state', 'outcome:' .. ARGV[3], 'again:' .. ARGV[3])
  if not known[1] or final(known[1]) or known[2] then
    redis.call('ZREM', KEYS[1], id)
  elseif not (known[3] and now - tonumber(known[3]) < tonumber(ARGV[4])) then
    redis.call('HSET', ARGV[1] .. id, 'again:' .. ARGV[3], now)
    table.insert(stranded, id)
  end
end
return stranded
"""
)

# KEYS waiting; ARGV prefix branch wait_s. Jobs that have waited for longer for a worker to begin the branch.
OVERWAITED: Final = (
    _LET_THROUGH
    + _NOW
    + """
local over, limit = {}, now - tonumber(ARGV[3])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', limit, 'LIMIT', 0, 500)) do
  local since = redis.call('HGET', ARGV[1] .. id, 'waits_since:' .. ARGV[2])
  if not since or tonumber(since) <= limit then table.insert(over, id) end
end
return over
"""
)

# KEYS queue; ARGV message. At the head of its queue: it is older than whatever waits there.
REQUEUE: Final = _LET_THROUGH + "return redis.call('RPUSH', KEYS[1], ARGV[1])"

# KEYS key; ARGV value. Only where there is one: the job may have been deleted meanwhile.
REPLACE: Final = (
    _LET_THROUGH
    + "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL') return 1 end return 0"
)

# KEYS card cards; ARGV id card ttl. The list of cards spares readers a search through all keys.
PUT_CARD: Final = (
    _LET_THROUGH
    + _NOW
    + """
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
return redis.call('EXPIRE', KEYS[2], ARGV[3])
"""
)

# KEYS job events waves deadlines ready leases erase; ARGV id clip_key ttl branches…
DELETE: Final = (
    _LET_THROUGH
    + _NOW
    + _EMIT
    + """
leave(KEYS[1], ARGV[1])
local existed = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', 'fv:webhooks', ARGV[1])
for i = 4, #ARGV do settle(ARGV[1], ARGV[i]) end
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[7], now, ARGV[2])
  redis.call('EXPIRE', KEYS[7], ARGV[3])
end
redis.call('PUBLISH', 'fv:wake', ARGV[1])
return existed
"""
)
