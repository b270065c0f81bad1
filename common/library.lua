#!lua name=certfleet
-- The changes to certfleet's state that must be atomic, as Redis Functions.
--
-- Every mutation of a domain by the leader carries the leader's epoch; a record
-- remembers the highest epoch it has seen and refuses a lower one (FENCED), so
-- that a leader that lost its lease changes nothing.  Numbers that may pass
-- 2^53 or be formatted by Lua as 1e+14 travel as strings made with %.0f.
-- Functions name their keys in the order of common/redis_keys.h.

local VERSION = 3
local EVENTS_MAX = 10000
local TIMELINE_MAX = 50
local REMOVED_MS = 100 * 86400000 -- longer than a certificate lives
local BUNDLE_PREVIOUS = ':previous'

local function text(n)
  return string.format('%.0f', n)
end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function fail(word, why)
  return redis.error_reply(word .. ' ' .. why)
end

-- Append an event; fields is a flat list field, value...
local function event(stream, fields)
  return redis.call('XADD', stream, 'MAXLEN', '~', EVENTS_MAX, '*', unpack(fields))
end

-- The record's fence: nil when epoch may write, else the error reply.
local function fence(domain, epoch)
  if redis.call('EXISTS', domain) == 0 then
    return fail('GONE', 'the domain was removed')
  end
  local seen = tonumber(redis.call('HGET', domain, 'epoch') or '0') or 0
  if tonumber(epoch) < seen then
    return fail('FENCED', 'epoch ' .. epoch .. ' is older than ' .. text(seen))
  end
  return nil
end

-- An event about a domain that still is: also the newest of its timeline, a
-- LIST of JSON objects, for people who ask why.
local function tell(stream, timeline, fields)
  local map = {}
  for i = 1, #fields, 2 do
    if fields[i] ~= 'name' and fields[i + 1] ~= '' then
      map[fields[i]] = tostring(fields[i + 1])
    end
  end
  redis.call('LPUSH', timeline, cjson.encode(map))
  redis.call('LTRIM', timeline, 0, TIMELINE_MAX - 1)
  return event(stream, fields)
end

local function schedule(due, name, next_at)
  if next_at == '-' then
    redis.call('ZREM', due, name)
  elseif next_at ~= '' then
    redis.call('ZADD', due, next_at, name)
  end
end

local function version()
  return VERSION
end

-- KEYS leader; ARGV node ttl_ms.  Take or renew the lease.
-- Returns { granted 0|1, epoch, holder, ms left }.
local function lease(keys, args)
  local now, node, ttl = now_ms(), args[1], tonumber(args[2])
  local h = redis.call('HMGET', keys[1], 'node', 'epoch', 'until')
  local holder, epoch, till = h[1] or '', tonumber(h[2] or '0'), tonumber(h[3] or '0')
  if holder ~= node and till > now then
    return { 0, text(epoch), holder, till - now }
  end
  if holder ~= node or till <= now then
    -- A plain INCR gives the same number on both sides of a failover; time
    -- makes two leaders' epochs differ.
    epoch = math.max(epoch + 1, now)
  end
  redis.call('HSET', keys[1], 'node', node, 'epoch', text(epoch), 'until', text(now + ttl))
  return { 1, text(epoch), node, ttl }
end

-- KEYS leader; ARGV node epoch.  Hand over at once; the epoch stays.
local function release(keys, args)
  local h = redis.call('HMGET', keys[1], 'node', 'epoch')
  if h[1] ~= args[1] or h[2] ~= args[2] then
    return 0
  end
  redis.call('HSET', keys[1], 'until', '0')
  return 1
end

-- KEYS domain due events removed timeline; ARGV name next_at field value... (at
-- least one).  next_at "now" is now by this server's clock.
-- Returns 1, or 0 when the domain is already there (nothing is changed).
local function add(keys, args)
  if redis.call('EXISTS', keys[1]) == 1 then
    return 0
  end
  local name = args[1]
  redis.call('HSET', keys[1], unpack(args, 3))
  redis.call('HSET', keys[1], 'name', name, 'epoch', '0')
  redis.call('ZREM', keys[4], name)
  schedule(keys[2], name, args[2] == 'now' and text(now_ms()) or args[2])
  tell(keys[3], keys[5], { 'type', 'added', 'name', name, 'at', text(now_ms()),
    'status', redis.call('HGET', keys[1], 'status') or '' })
  return 1
end

-- KEYS domain due events timeline; ARGV epoch name next_at event nfields field value...
-- [field to delete...].  next_at: "" as it is, "-" nothing due.  event: "" or
-- the event's type; it carries the record's status and reason.
local function update(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local n = tonumber(args[5])
  if n > 0 then
    redis.call('HSET', keys[1], unpack(args, 6, 5 + 2 * n))
  end
  redis.call('HSET', keys[1], 'epoch', args[1])
  if #args > 5 + 2 * n then
    redis.call('HDEL', keys[1], unpack(args, 6 + 2 * n))
  end
  schedule(keys[2], args[2], args[3])
  if args[4] ~= '' then
    local h = redis.call('HMGET', keys[1], 'status', 'reason', 'next_at')
    tell(keys[3], keys[4], { 'type', args[4], 'name', args[2], 'at', text(now_ms()),
      'status', h[1] or '', 'reason', h[2] or '', 'next_at', h[3] or '' })
  end
  return 1
end

-- KEYS domain cert order due index gen events removed timeline; ARGV name
-- Nodes drop a certificate because its removal is written down, never because
-- the index lacks it: an emptied Redis must not take certificates away.
-- Returns 1, or 0 when there was no such domain.
local function remove(keys, args)
  local name = args[1]
  if redis.call('DEL', keys[1]) == 0 then
    return 0
  end
  redis.call('DEL', keys[2], keys[2] .. BUNDLE_PREVIOUS, keys[3], keys[9])
  redis.call('ZREM', keys[4], name)
  local gen = 0
  if redis.call('HDEL', keys[5], name) == 1 then
    gen = redis.call('INCR', keys[6])
    local now = now_ms()
    redis.call('ZADD', keys[8], text(now), name)
    redis.call('ZREMRANGEBYSCORE', keys[8], '-inf', text(now - REMOVED_MS))
  end
  event(keys[7], { 'type', 'removed', 'name', name, 'at', text(now_ms()), 'gen', text(gen) })
  return 1
end

-- KEYS domain order; ARGV epoch expected step field value...
-- The journal of the order in flight moves from one step to the next.
-- expected: "" there must be no journal, "*" whatever it says.  The journal
-- remembers when it was begun (started_at) and last moved (at).
local function journal(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local step = redis.call('HGET', keys[2], 'step') or ''
  if args[2] ~= '*' and step ~= args[2] then
    return fail('STEP', 'the order is at "' .. step .. '", not at "' .. args[2] .. '"')
  end
  redis.call('HSET', keys[1], 'epoch', args[1])
  local now = text(now_ms())
  redis.call('HSETNX', keys[2], 'started_at', now)
  redis.call('HSET', keys[2], 'epoch', args[1], 'step', args[3], 'at', now, unpack(args, 4))
  return 1
end

-- KEYS domain order; ARGV epoch.  The order in flight is given up.
local function abandon(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  redis.call('HSET', keys[1], 'epoch', args[1])
  return redis.call('DEL', keys[2])
end

-- KEYS domain cert order due index gen events timeline
-- ARGV epoch name sha1 not_after next_at force bundle nfields field value...
-- A certificate becomes the domain's: bundle, record, index, journal, due and
-- event change together.  Refuses one that ends earlier than what is there
-- (WORSE) unless force is "1".  The same certificate again changes nothing.
-- The fields' own version, gen and epoch do not count.
-- Returns { version, gen }.
local function commit(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local name, sha1, not_after = args[2], args[3], args[4]
  local version, gen = 0, tonumber(redis.call('GET', keys[6]) or '0')
  local old = redis.call('HGET', keys[5], name)
  if old then
    local v, na, fp = string.match(old, '^(%d+):(%d+):(%x+)$')
    version = tonumber(v or '0')
    if fp == sha1 then
      return { version, gen }
    end
    if na and tonumber(not_after) < tonumber(na) and args[6] ~= '1' then
      return fail('WORSE', 'it ends at ' .. not_after .. ', what is there at ' .. na)
    end
    local bundle = redis.call('GET', keys[2])
    if bundle then
      redis.call('SET', keys[2] .. BUNDLE_PREVIOUS, bundle)
    end
  end
  version = version + 1
  gen = redis.call('INCR', keys[6])
  redis.call('SET', keys[2], args[7])
  redis.call('HSET', keys[5], name, version .. ':' .. not_after .. ':' .. sha1)
  local n = tonumber(args[8])
  if n > 0 then
    redis.call('HSET', keys[1], unpack(args, 9, 8 + 2 * n))
  end
  redis.call('HSET', keys[1], 'epoch', args[1], 'version', version, 'gen', gen)
  redis.call('DEL', keys[3])
  schedule(keys[4], name, args[5])
  tell(keys[7], keys[8], { 'type', 'issued', 'name', name, 'at', text(now_ms()),
    'version', version, 'gen', gen, 'sha1', sha1, 'not_after', not_after })
  return { version, gen }
end

-- KEYS cert.  The previous bundle of a domain is needed no longer.
local function proven(keys, _)
  return redis.call('DEL', keys[1] .. BUNDLE_PREVIOUS)
end

-- KEYS due; ARGV now_ms n visibility_ms.  Up to n names that are due; each is
-- put back visibility_ms later, so that a crash loses none.
local function claim(keys, args)
  local now = tonumber(args[1])
  local names = redis.call('ZRANGEBYSCORE', keys[1], '-inf', args[1], 'LIMIT', 0, args[2])
  for _, name in ipairs(names) do
    redis.call('ZADD', keys[1], text(now + tonumber(args[3])), name)
  end
  return names
end

-- KEYS challenge; ARGV token keyauth ttl_s channel
local function publish(keys, args)
  redis.call('SET', keys[1], args[2], 'EX', args[3])
  redis.call('PUBLISH', args[4], args[1] .. ' ' .. args[2])
  return 1
end

-- KEYS challenge; ARGV token channel
local function withdraw(keys, args)
  redis.call('DEL', keys[1])
  redis.call('PUBLISH', args[2], args[1])
  return 1
end

-- KEYS thumbprint; ARGV thumbprint channel
local function thumbprint(keys, args)
  redis.call('SET', keys[1], args[1])
  redis.call('PUBLISH', args[2], '= ' .. args[1])
  return 1
end

-- KEYS node; ARGV id now_ms ttl_ms channel gen field value...
-- A node's heartbeat: what it is and what it has applied.  When gen differs
-- from the last one told, the channel hears "id gen".
local function beat(keys, args)
  local id, gen = args[1], args[5]
  local told = redis.call('HGET', keys[1], 'gen')
  redis.call('DEL', keys[1])
  redis.call('HSET', keys[1], 'id', id, 'at', args[2], 'gen', gen, unpack(args, 6))
  redis.call('PEXPIRE', keys[1], args[3])
  if told ~= gen then
    redis.call('PUBLISH', args[4], id .. ' ' .. gen)
  end
  return 1
end

-- KEYS meta; ARGV partitions cluster_id.  First start of a fleet, or not.
-- Returns { schema, partitions, cluster_id } as they are.
local function init(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    redis.call('HSET', keys[1], 'schema', '1', 'partitions', args[1],
      'cluster_id', args[2], 'created_at', text(now_ms()))
  end
  return redis.call('HMGET', keys[1], 'schema', 'partitions', 'cluster_id')
end

-- KEYS domain...  Records as one msgpack map each, false where there is none:
-- a page of a list in one reply.
local function records(keys, _)
  local found = {}
  for i, key in ipairs(keys) do
    local flat = redis.call('HGETALL', key)
    if #flat == 0 then
      found[i] = false
    else
      local map = {}
      for j = 1, #flat, 2 do
        map[flat[j]] = flat[j + 1]
      end
      found[i] = cmsgpack.pack(map)
    end
  end
  return found
end

-- What a CA counts, in sliding windows: a ZSET of spends by their time, and in
-- it the member "blocked", whose score is until when the CA said no.  A spend
-- counts as long as it is not older than the window, its last millisecond
-- included, so that no window of that length ever holds more than the limit.
local BLOCKED = 'blocked'

-- How the bucket is: { used, next free at (0: now), blocked until (0: it is
-- not) }.  limit 0: nothing is counted.
local function limit_state(key, limit, window, now)
  local from = '(' .. text(now - window - 1)
  local used = redis.call('ZCOUNT', key, from, '+inf')
  local score = redis.call('ZSCORE', key, BLOCKED)
  local blocked = tonumber(score or '0')
  if score and blocked >= now - window then
    used = used - 1
  end
  if blocked <= now then
    blocked = 0
  end
  local free = blocked
  if limit > 0 and used >= limit then
    -- The last of those that must go before there is room.
    local found = redis.call('ZRANGE', key, from, '+inf', 'BYSCORE',
      'LIMIT', 0, used - limit + 2, 'WITHSCORES')
    local left = used - limit + 1
    for i = 1, #found, 2 do
      if found[i] ~= BLOCKED and left > 0 then
        left = left - 1
        if left == 0 then
          free = math.max(free, tonumber(found[i + 1]) + window + 1)
        end
      end
    end
  end
  return { used, free, blocked }
end

local function limit_now(arg)
  return tonumber(arg or '') or now_ms()
end

-- Nothing older is needed, and an idle bucket is forgotten.
local function limit_trim(key, window, now)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - window - 1))
  local blocked = tonumber(redis.call('ZSCORE', key, BLOCKED) or '0')
  redis.call('PEXPIRE', key, text(window + 60000 + math.max(0, blocked - now)))
end

-- KEYS bucket; ARGV id limit window_ms happened_at [now_ms].
-- Take one of the bucket's, once for each id: one that is there already is
-- granted again, and moves to now.  happened_at: "" asks; else the spend has
-- happened, then ("0": now), and is counted whatever the limit.  limit 0: none,
-- nothing is counted.  now_ms is for tests.
-- Returns { granted 0|1, left, next free at, used, now }.
local function limit_spend(keys, args)
  local key, id, limit, window = keys[1], args[1], tonumber(args[2]), tonumber(args[3])
  local now = limit_now(args[5])
  local granted, at = 1, now
  if args[4] == '' then
    local before = limit_state(key, limit, window, now)
    local again = redis.call('ZSCORE', key, id)
    if before[3] > now or (before[2] > now and not again) then
      granted = 0
    end
  elseif args[4] ~= '0' then
    at = math.min(now, tonumber(args[4]))
  end
  if granted == 1 and limit > 0 and at >= now - window then
    redis.call('ZADD', key, 'GT', text(at), id)
    limit_trim(key, window, now)
  end
  local after = limit_state(key, limit, window, now)
  return { granted, math.max(0, limit - after[1]), text(after[2]), after[1], text(now) }
end

-- KEYS bucket; ARGV id.  The CA made nothing of it.  Returns 1, or 0.
local function limit_refund(keys, args)
  return redis.call('ZREM', keys[1], args[1])
end

-- KEYS bucket; ARGV until_ms window_ms [now_ms].  The CA says: not before.
-- Returns until when the bucket is blocked.
local function limit_block(keys, args)
  redis.call('ZADD', keys[1], 'GT', args[1], BLOCKED)
  limit_trim(keys[1], tonumber(args[2]), limit_now(args[3]))
  return redis.call('ZSCORE', keys[1], BLOCKED) or '0'
end

-- KEYS bucket; ARGV limit window_ms nspends [now_ms].
-- Look, and take nothing.  Returns { left, next free at, used, now, blocked
-- until, the newest nspends spends' times, oldest first... }.
local function limit_peek(keys, args)
  local key, limit, window = keys[1], tonumber(args[1]), tonumber(args[2])
  local now = limit_now(args[4])
  local state = limit_state(key, limit, window, now)
  local found = { math.max(0, limit - state[1]), text(state[2]), state[1], text(now),
    text(state[3]) }
  if tonumber(args[3]) > 0 then
    local newest = redis.call('ZRANGE', key, '+inf', '(' .. text(now - window - 1),
      'BYSCORE', 'REV', 'LIMIT', 0, tonumber(args[3]) + 1, 'WITHSCORES')
    for i = #newest - 1, 1, -2 do
      if newest[i] ~= BLOCKED then
        found[#found + 1] = newest[i + 1]
      end
    end
  end
  return found
end

local read_only = { 'no-writes' }

redis.register_function { function_name = 'certfleet_version', callback = version, flags = read_only }
redis.register_function('certfleet_lease', lease)
redis.register_function('certfleet_release', release)
redis.register_function('certfleet_add', add)
redis.register_function('certfleet_update', update)
redis.register_function('certfleet_remove', remove)
redis.register_function('certfleet_journal', journal)
redis.register_function('certfleet_abandon', abandon)
redis.register_function('certfleet_commit', commit)
redis.register_function('certfleet_proven', proven)
redis.register_function('certfleet_claim', claim)
redis.register_function('certfleet_publish', publish)
redis.register_function('certfleet_withdraw', withdraw)
redis.register_function('certfleet_thumbprint', thumbprint)
redis.register_function('certfleet_beat', beat)
redis.register_function('certfleet_init', init)
redis.register_function('certfleet_limit_spend', limit_spend)
redis.register_function('certfleet_limit_refund', limit_refund)
redis.register_function('certfleet_limit_block', limit_block)
redis.register_function { function_name = 'certfleet_limit_peek', callback = limit_peek, flags = read_only }
redis.register_function { function_name = 'certfleet_records', callback = records, flags = read_only }
