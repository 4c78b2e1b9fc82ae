"""Lua functions that several scripts share."""

from typing import Final

from shared.jobs.keys import WAKE_CHANNEL

#: `now`: seconds since the epoch by the broker's clock.
NOW: Final = "local time = redis.call('TIME'); local now = time[1] + time[2] / 1e6\n"

#: Whether a state of a job is final.
IS_FINAL: Final = """
local function is_final(state) return state == 'succeeded' or state == 'failed' or state == 'cancelled' end
"""

#: Append an event and wake the gateways whose clients follow the job.
EMIT: Final = f"""
local function emit(stream, id, event, text, stream_ttl_s, event_token)
  local entry = {{'event', event, 'data', text}}
  if event_token then entry[5], entry[6] = 'token', event_token end
  redis.call('XADD', stream, 'MAXLEN', '~', 500, '*', unpack(entry))
  redis.call('EXPIRE', stream, stream_ttl_s)
  redis.call('PUBLISH', '{WAKE_CHANNEL}', id)
end
"""

#: Keep a list for `keep_s` seconds at least: other members may need it for longer than the one that was added.
KEEP: Final = """
local function keep(list, keep_s)
  if redis.call('TTL', list) < keep_s then redis.call('EXPIRE', list, keep_s) end
end
"""

#: Remove a job from the batch jobs, where it is one, and its clip from the sum of their sizes.
RELEASE: Final = """
local function release(batch_list, sizes, id)
  redis.call('ZREM', batch_list, id)
  local size = redis.call('HGET', sizes, id)
  if size then
    redis.call('HDEL', sizes, id)
    redis.call('HINCRBY', sizes, 'total', -tonumber(size))
  end
end
"""

#: Remove a branch from the lists of waiting branches of each priority, of leases and of claims.
SETTLE: Final = """
local function settle(waiting_lists, leases_list, working_list, id, name)
  for _, waiting_list in ipairs(waiting_lists) do redis.call('ZREM', waiting_list, id) end
  redis.call('ZREM', leases_list, id .. ' ' .. name)
  redis.call('ZREM', working_list, id .. ' ' .. name)
end
"""

#: The reply of a script whose keys were derived from a record that has changed since: read it again and repeat.
CHANGED: Final = -1

#: How often a record is read again before it counts as broken.
MAX_READS: Final = 3


class RecordChangedError(Exception):
    """A job's record changed at every read: it is broken, or the job is created and deleted again and again."""
