"""Lua scripts: each change of a session that has more than one part happens whole or not at all.

A script's first reply is a word; the stores turn every word but OK into an error or a value. Writes of a
worker carry the epoch of its lease and are refused (FENCED) when a newer one was given out, so that a worker
that slept through its lease can do no harm. Time is the server's own, so that
the clocks of the machines do not matter.
"""

_NOW_MS = """
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
"""

_IS_ENDED = """
local function is_ended(status)
  return status == 'done' or status == 'failed' or status == 'closed'
end
"""

_EXPIRE_ALL = """
local function expire_all(first, last, ms)
  for k = first, last do redis.call('PEXPIRE', KEYS[k], ms) end
end
"""

# KEYS admit waiting session log seen objects [video users]
# ARGV id spec model from_frame max_queued ttl_ms is_started num_prompts has_names,
#      then for each command: id, digest, json, object
# -> OK | EXISTS | FULL <waiting sessions>
CREATE = (
    _NOW_MS
    + """
if redis.call('EXISTS', KEYS[3]) == 1 then return {'EXISTS'} end
local waiting = redis.call('XLEN', KEYS[1])
if waiting >= tonumber(ARGV[5]) then return {'FULL', waiting} end
for a = 10, #ARGV, 4 do
  redis.call('XADD', KEYS[4], '*', 'c', ARGV[a + 2])
  redis.call('HSET', KEYS[5], ARGV[a], ARGV[a + 1])
  if ARGV[a + 3] ~= '' then redis.call('SADD', KEYS[6], ARGV[a + 3]) end
end
local admit_id = redis.call('XADD', KEYS[1], '*', 'session', ARGV[1], 'model', ARGV[3])
redis.call('HSET', KEYS[3], 'spec', ARGV[2], 'status', 'queued', 'admit_id', admit_id, 'epoch', 0,
  'takeovers', 0, 'owner', '', 'is_started', ARGV[7], 'next_push', 0, 'is_input_ended', 0, 'num_prompts', ARGV[8],
  'has_names', ARGV[9], 'last_seq', 0, 'next_frame', ARGV[4], 'num_objects', 0, 'connections', 0)
if ARGV[6] ~= '0' then redis.call('ZADD', KEYS[2], now_ms() + ARGV[6], ARGV[1]) end
if KEYS[7] then redis.call('SADD', KEYS[7], ARGV[1]) end
return {'OK'}
"""
)

# KEYS admit waiting session log seen objects out control
# ARGV id kind request_id digest json object max_objects max_prompts start_json is_push frame_index
#      closed_event retention_ms dropped_event names; a session that no worker has seen is closed here, each of its
#      frames dropped first. `names` of a config: `brings` some, `needs` some that an earlier one brought, or nothing
# -> OK | REPEAT | UNKNOWN | ENDED <status> | CONFLICT | MANY_OBJECTS | MANY_PROMPTS
#    | ORDER <expected> | INPUT_ENDED | NO_NAMES
APPEND = (
    _IS_ENDED
    + _EXPIRE_ALL
    + """
local kind, request = ARGV[2], ARGV[3]
local status = redis.call('HGET', KEYS[3], 'status')
if not status then return {'UNKNOWN'} end
if request ~= '' then
  local known = redis.call('HGET', KEYS[5], request)
  if known then
    if known == ARGV[4] then return {'REPEAT'} end
    return {'CONFLICT'}
  end
end
if is_ended(status) then return {'ENDED', status} end
if kind == 'close' and status == 'queued' then
  redis.call('XDEL', KEYS[1], redis.call('HGET', KEYS[3], 'admit_id'))
  redis.call('ZREM', KEYS[2], ARGV[1])
  local frames = tonumber(redis.call('HGET', KEYS[3], 'next_push'))
  local dropped, closed = cjson.decode(ARGV[14]), cjson.decode(ARGV[12])
  for n = 1, frames do
    dropped.seq, dropped.frame_index = n, n - 1
    redis.call('XADD', KEYS[7], n .. '-0', 'e', cjson.encode(dropped))
  end
  closed.seq, closed.final_seq = frames + 1, frames + 1
  redis.call('XADD', KEYS[7], (frames + 1) .. '-0', 'e', cjson.encode(closed))
  redis.call('HSET', KEYS[3], 'status', 'closed', 'last_seq', frames + 1, 'next_frame', frames)
  expire_all(3, 8, ARGV[13])
  return {'OK'}
end
if kind == 'prompt.add' then
  local count = tonumber(redis.call('HGET', KEYS[3], 'num_prompts'))
  if count >= tonumber(ARGV[8]) then return {'MANY_PROMPTS'} end
  if redis.call('SISMEMBER', KEYS[6], ARGV[6]) == 0 and redis.call('SCARD', KEYS[6]) >= tonumber(ARGV[7]) then
    return {'MANY_OBJECTS'}
  end
  redis.call('SADD', KEYS[6], ARGV[6])
  redis.call('HINCRBY', KEYS[3], 'num_prompts', 1)
elseif kind == 'config' then
  if ARGV[15] == 'needs' and redis.call('HGET', KEYS[3], 'has_names') ~= '1' then return {'NO_NAMES'} end
  if ARGV[15] == 'brings' then redis.call('HSET', KEYS[3], 'has_names', 1) end
elseif kind == 'object.remove' then
  redis.call('SREM', KEYS[6], ARGV[6])
elseif kind == 'frame.push' or kind == 'frame.refuse' or kind == 'frame.drop' then
  if redis.call('HGET', KEYS[3], 'is_input_ended') == '1' then return {'INPUT_ENDED'} end
  local expected = tonumber(redis.call('HGET', KEYS[3], 'next_push'))
  if tonumber(ARGV[11]) < expected then return {'REPEAT'} end
  if tonumber(ARGV[11]) > expected then return {'ORDER', expected} end
  redis.call('HSET', KEYS[3], 'next_push', expected + 1)
elseif kind == 'input.end' then
  if redis.call('HGET', KEYS[3], 'is_input_ended') == '1' then return {'REPEAT'} end
  redis.call('HSET', KEYS[3], 'is_input_ended', 1)
end
redis.call('XADD', KEYS[4], '*', 'c', ARGV[5])
if request ~= '' then redis.call('HSET', KEYS[5], request, ARGV[4]) end
local starts = kind == 'propagate'
local is_work = kind == 'prompt.add' or kind == 'config'
if is_work and ARGV[9] ~= '' and redis.call('HGET', KEYS[3], 'is_started') == '0' then
  redis.call('XADD', KEYS[4], '*', 'c', ARGV[9])
  starts = true
end
if starts then
  redis.call('HSET', KEYS[3], 'is_started', 1)
  if ARGV[10] == '0' then redis.call('ZREM', KEYS[2], ARGV[1]) end
end
if kind == 'close' then redis.call('ZREM', KEYS[2], ARGV[1]) end
return {'OK'}
"""
)

# KEYS waiting   ARGV id ttl_ms   -> OK; a session that is not waiting for its client is left alone
TOUCH = (
    _NOW_MS
    + """
redis.call('ZADD', KEYS[1], 'XX', now_ms() + ARGV[2], ARGV[1])
return {'OK'}
"""
)

# KEYS zset   -> OK <server time in ms> and up to 64 members whose time has come
DUE = (
    _NOW_MS
    + """
local now = now_ms()
return {'OK', now, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 64)}
"""
)

# KEYS session control   -> OK <number of the new connection> | UNKNOWN
CONNECT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {'UNKNOWN'} end
local number = redis.call('HINCRBY', KEYS[1], 'connections', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', 1, number .. '-0', 'n', number)
local ttl = redis.call('PTTL', KEYS[1])
if ttl > 0 then redis.call('PEXPIRE', KEYS[2], ttl) end
return {'OK', number}
"""

# KEYS session admit leases   ARGV id owner lease_ms weights admit_entry
# -> OK <epoch> | TAKEN. A session that is gone or ended is swept out of admission and leases on the way.
CLAIM = (
    _NOW_MS
    + """
local status = redis.call('HGET', KEYS[1], 'status')
local now = now_ms()
if status == 'running' then
  local deadline = redis.call('ZSCORE', KEYS[3], ARGV[1])
  if deadline and tonumber(deadline) > now then return {'TAKEN'} end
elseif status ~= 'queued' then
  redis.call('ZREM', KEYS[3], ARGV[1])
  if ARGV[5] ~= '' then redis.call('XDEL', KEYS[2], ARGV[5]) end
  return {'TAKEN'}
end
local t = redis.call('TIME')
local epoch = math.max(tonumber(redis.call('HGET', KEYS[1], 'epoch')) + 1, t[1] * 1000000 + t[2])
local text = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'status', 'running', 'owner', ARGV[2], 'epoch', text, 'weights', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'takeovers', 1)
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[1])
redis.call('XDEL', KEYS[2], redis.call('HGET', KEYS[1], 'admit_id'))
return {'OK', text}
"""
)

_FENCE = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {'FENCED'} end
"""

# KEYS session leases   ARGV epoch id lease_ms   -> OK | FENCED
RENEW = (
    _NOW_MS
    + _FENCE
    + """
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return {'FENCED'} end
redis.call('ZADD', KEYS[2], now_ms() + ARGV[3], ARGV[2])
return {'OK'}
"""
)

# KEYS session leases   ARGV epoch id   -> OK | FENCED; another worker may claim the session at once
RELEASE = (
    _FENCE
    + """
if redis.call('HGET', KEYS[1], 'status') == 'running' then
  redis.call('HINCRBY', KEYS[1], 'takeovers', -1)
  redis.call('HSET', KEYS[1], 'owner', '')
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
end
return {'OK'}
"""
)

# Events from ARGV[6] on, their first seq in ARGV[2]. A repeat of the batch published last is harmless.
_PUBLISH = """
local last = tonumber(redis.call('HGET', KEYS[1], 'last_seq'))
local first, count = tonumber(ARGV[2]), #ARGV - 5
if count > 0 and first ~= last + 1 then
  if first + count - 1 ~= last then return {'SEQ', last} end
elseif count > 0 then
  for n = 0, count - 1 do
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], (first + n) .. '-0', 'e', ARGV[6 + n])
  end
  redis.call('HSET', KEYS[1], 'last_seq', first + count - 1, 'next_frame', ARGV[4], 'num_objects', ARGV[5],
    'takeovers', 0)
end
"""

# KEYS session out   ARGV epoch first_seq maxlen next_frame num_objects event...
# -> OK | FENCED | SEQ <last seq>
PUBLISH = _FENCE + _PUBLISH + "return {'OK'}"

# KEYS session log   ARGV epoch command frame_index   -> OK | REPEAT | ENDED | FENCED; what the owner of a session adds
# to its log: frames of a camera, whose index is given, and news of it
FEED = (
    _FENCE
    + """
if redis.call('HGET', KEYS[1], 'is_input_ended') == '1' then return {'ENDED'} end
if ARGV[3] ~= '' then
  local expected = tonumber(redis.call('HGET', KEYS[1], 'next_push'))
  if tonumber(ARGV[3]) < expected then return {'REPEAT'} end
  redis.call('HSET', KEYS[1], 'next_push', expected + 1)
end
redis.call('XADD', KEYS[2], '*', 'c', ARGV[2])
return {'OK'}
"""
)

# KEYS session   ARGV epoch   -> OK <frames pushed so far> | FENCED; no frame can be pushed any more
END_INPUT = (
    _FENCE
    + """
redis.call('HSET', KEYS[1], 'is_input_ended', 1)
return {'OK', redis.call('HGET', KEYS[1], 'next_push')}
"""
)

# KEYS session snapshot log   ARGV epoch next_frame log_id seq data   -> OK | FENCED; what it covers may leave the log
SNAPSHOT = (
    _FENCE
    + """
redis.call('HSET', KEYS[2], 'next_frame', ARGV[2], 'log_id', ARGV[3], 'seq', ARGV[4], 'data', ARGV[5])
redis.call('XTRIM', KEYS[3], 'MINID', '~', ARGV[3])
return {'OK'}
"""
)

# KEYS session out leases waiting snapshot log seen objects control
# ARGV epoch first_seq maxlen next_frame num_objects event..., then id status problem retention_ms
# -> OK | FENCED | SEQ <last seq>. Publishes the last events and ends the session, whole or not at all.
FINISH = (
    _EXPIRE_ALL
    + """
local retention, problem = table.remove(ARGV), table.remove(ARGV)
local status, id = table.remove(ARGV), table.remove(ARGV)
"""
    + _FENCE
    + _PUBLISH
    + """
redis.call('HSET', KEYS[1], 'status', status, 'owner', '', 'problem', problem)
redis.call('ZREM', KEYS[3], id)
redis.call('ZREM', KEYS[4], id)
redis.call('DEL', KEYS[5])
redis.call('PEXPIRE', KEYS[1], retention)
redis.call('PEXPIRE', KEYS[2], retention)
expire_all(6, 9, retention)
return {'OK'}
"""
)
