"""Lua that the broker runs whole: every decision about a job that two processes could make at once.

Keys and arguments stand above each script; `shared.records` is the only caller.
"""

from typing import Final

_NOW: Final = "local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6\n"
_EMIT: Final = """
local function emit(events, job, name, data, ttl)
  redis.call('XADD', events, 'MAXLEN', '~', 500, '*', 'event', name, 'data', data)
  redis.call('EXPIRE', events, ttl)
  redis.call('PUBLISH', 'fv:wake', job)
end
-- The owner's place is free for the next job.
local function leave(job, id)
  local owner = redis.call('HGET', job, 'owner')
  if owner then redis.call('ZREM', 'fv:active:' .. owner, id) end
end
local function final(state) return state == 'succeeded' or state == 'failed' or state == 'cancelled' end
"""

# KEYS job events deadlines active queues…
# ARGV id ttl deadline_s branches most_active, a message for each queue, fields…
# Nobody waits on the job yet, so nobody is woken.
CREATE: Final = (
    _NOW
    + """
local most = tonumber(ARGV[5])
if most >= 0 and redis.call('ZCARD', KEYS[3]) >= most then return 0 end
local deadline = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'deadline', deadline, 'branches', ARGV[4], 'state', 'queued', unpack(ARGV, #KEYS + 2))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[3], deadline, ARGV[1])
redis.call('EXPIRE', KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[4], deadline, ARGV[1])
redis.call('EXPIRE', KEYS[4], ARGV[2])
redis.call('XADD', KEYS[2], '*', 'event', 'state', 'data', '{"state":"queued"}')
redis.call('EXPIRE', KEYS[2], ARGV[2])
for i = 5, #KEYS do redis.call('LPUSH', KEYS[i], ARGV[i + 1]) end
return 1
"""
)

# KEYS job events leases; ARGV id branch token max_tries lease_s ttl
BEGIN: Final = (
    _NOW
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'gone' end
if final(state) or redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[2]) == 1 then return 'done' end
local member = ARGV[1] .. ' ' .. ARGV[2]
local lease = redis.call('ZSCORE', KEYS[3], member)
if lease and tonumber(lease) > now and redis.call('HGET', KEYS[1], 'token:' .. ARGV[2]) ~= '' then return 'busy' end
if redis.call('HINCRBY', KEYS[1], 'try:' .. ARGV[2], 1) > tonumber(ARGV[4]) then return 'exhausted' end
redis.call('HSET', KEYS[1], 'token:' .. ARGV[2], ARGV[3], 'status:' .. ARGV[2], 'running')
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[5]), member)
redis.call('EXPIRE', KEYS[3], ARGV[6])
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
    _NOW
    + """
if redis.call('HGET', KEYS[1], 'token:' .. ARGV[2]) ~= ARGV[3] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[2]) == 1 then return 0 end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[4]), ARGV[1] .. ' ' .. ARGV[2])
return 1
"""
)

# KEYS job events; ARGV id name data ttl
EVENT: Final = (
    _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state or final(state) then return 0 end
emit(KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
"""
)

# KEYS job events leases ready waves; ARGV id branch outcome report ttl waves
OUTCOME: Final = (
    _NOW
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state or final(state) then return 0 end
local field = 'outcome:' .. ARGV[2]
if redis.call('HSETNX', KEYS[1], field, ARGV[3]) == 0 then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1] .. ' ' .. ARGV[2])
if ARGV[6] ~= '' then redis.call('SET', KEYS[5], ARGV[6], 'EX', ARGV[5]) end
emit(KEYS[2], ARGV[1], 'branch', '{"branch":"' .. ARGV[2] .. '","report":' .. ARGV[4] .. '}', ARGV[5])
for branch in string.gmatch(redis.call('HGET', KEYS[1], 'branches'), '%S+') do
  if redis.call('HEXISTS', KEYS[1], 'outcome:' .. branch) == 0 then return 1 end
end
redis.call('ZADD', KEYS[4], now, ARGV[1])
redis.call('EXPIRE', KEYS[4], ARGV[5])
return 2
"""
)

# KEYS job events deadlines ready erase counters webhooks
# ARGV id state finished_at document ttl clip_key webhook counters_ttl counters…
FINISH: Final = (
    _NOW
    + _EMIT
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
if final(state) then return 0 end
leave(KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'finished_at', ARGV[3], 'document', ARGV[4])
for branch in string.gmatch(redis.call('HGET', KEYS[1], 'branches'), '%S+') do
  redis.call('HDEL', KEYS[1], 'outcome:' .. branch, 'token:' .. branch)
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
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
    _NOW
    + """
local lost = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
for _, member in ipairs(lost) do redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), member) end
return lost
"""
)

# KEYS job leases; ARGV id branch max_tries. 0: nothing to do, 1: try again, 2: no try left
LOSE: Final = """
local state = redis.call('HGET', KEYS[1], 'state')
local over = not state or state == 'succeeded' or state == 'failed' or state == 'cancelled'
if over or redis.call('HEXISTS', KEYS[1], 'outcome:' .. ARGV[2]) == 1 then
  redis.call('ZREM', KEYS[2], ARGV[1] .. ' ' .. ARGV[2])
  return 0
end
redis.call('HSET', KEYS[1], 'token:' .. ARGV[2], '')
if tonumber(redis.call('HGET', KEYS[1], 'try:' .. ARGV[2]) or '0') < tonumber(ARGV[3]) then return 1 end
return 2
"""

# KEYS deadlines; ARGV prefix horizon branch hold_s. Jobs due by `horizon` whose branch was never begun, each handed to
# one sweeper for `hold_s`.
STRANDED: Final = (
    _NOW
    + """
local stranded = {}
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, 500)) do
  local key = ARGV[1] .. job
  local known = redis.call('HMGET', key, 'branches', 'try:' .. ARGV[3], 'outcome:' .. ARGV[3], 'again:' .. ARGV[3])
  local asked = known[1] and string.find(' ' .. known[1] .. ' ', ' ' .. ARGV[3] .. ' ', 1, true)
  local held = known[4] and now - tonumber(known[4]) < tonumber(ARGV[4])
  if asked and not known[2] and not known[3] and not held then
    redis.call('HSET', key, 'again:' .. ARGV[3], now)
    table.insert(stranded, job)
  end
end
return stranded
"""
)

# KEYS job events waves deadlines ready leases erase; ARGV id clip_key ttl branches…
DELETE: Final = (
    _NOW
    + _EMIT
    + """
leave(KEYS[1], ARGV[1])
local existed = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', 'fv:webhooks', ARGV[1])
for i = 4, #ARGV do redis.call('ZREM', KEYS[6], ARGV[1] .. ' ' .. ARGV[i]) end
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[7], now, ARGV[2])
  redis.call('EXPIRE', KEYS[7], ARGV[3])
end
redis.call('PUBLISH', 'fv:wake', ARGV[1])
return existed
"""
)
