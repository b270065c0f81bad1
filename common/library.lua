#!lua name=certfleet
-- The changes to certfleet's state that must be atomic, as Redis Functions.
--
-- Every mutation of a domain by the leader carries the leader's epoch; a record
-- remembers the highest epoch it has seen and refuses a lower one (FENCED), so
-- that a leader that lost its lease changes nothing.  Numbers that may pass
-- 2^53 or be formatted by Lua as 1e+14 travel as strings made with %.0f.
-- Functions name their keys in the order of common/redis_keys.h.

local VERSION = 17
local EVENTS_MAX = 10000
local TIMELINE_MAX = 50
local REMOVED_MS = 100 * 86400000 -- longer than a certificate lives
-- Beside a bundle: the one of before, and one that a canary is to prove, with
-- what the record says when it is.  Of an owner's one of before, what it said.
local BUNDLE_PREVIOUS, BUNDLE_NEXT, BUNDLE_STAGED = ':previous', ':next', ':staged'
local BUNDLE_WAS = ':was'

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

-- What is beside a domain's key, in its slot, begins so; and its name.
local function at_domain(domain)
  return string.match(domain, '^(.*{p%d+}:)domain:(.*)$')
end

-- Append an event; fields is a flat list field, value...
local function event(stream, fields)
  return redis.call('XADD', stream, 'MAXLEN', '~', EVENTS_MAX, '*', unpack(fields))
end

-- The record's fence: nil when epoch may write, else the error reply.
local function fence(domain, epoch)
  local seen = redis.call('HGET', domain, 'epoch')
  if not seen and redis.call('EXISTS', domain) == 0 then
    return fail('GONE', 'the domain was removed')
  end
  seen = tonumber(seen or '0') or 0
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

-- The owner's changes.  changed_at, which only grows, makes whatever was read
-- before stale: an update that was decided upon older facts is refused.
local function owner_changed(domain)
  local was = tonumber(redis.call('HGET', domain, 'changed_at') or '0') or 0
  local at = text(math.max(now_ms(), was + 1))
  redis.call('HSET', domain, 'changed_at', at)
  return at
end

-- Fields of a record as an argument list has them, but for those that are the
-- library's own.
local LIBRARY_OWNS = { changed_at = true, version = true, gen = true, epoch = true }
local function put_fields(domain, args, from, n)
  local fields = {}
  for i = from, from + 2 * n - 2, 2 do
    if not LIBRARY_OWNS[args[i]] then
      fields[#fields + 1] = args[i]
      fields[#fields + 1] = args[i + 1]
    end
  end
  if #fields > 0 then
    redis.call('HSET', domain, unpack(fields))
  end
end

local function drop_fields(domain, args, from)
  local fields = {}
  for i = from, #args do
    if not LIBRARY_OWNS[args[i]] then
      fields[#fields + 1] = args[i]
    end
  end
  if #fields > 0 then
    redis.call('HDEL', domain, unpack(fields))
  end
end

-- The index names what is served: version:not_after:sha1, and once an owner
-- has had a choice :kind:since, the kind of certificate and when it was chosen.
local function indexed(index, name)
  local old = redis.call('HGET', index, name)
  if not old then
    return nil
  end
  local v, na, fp, choice = string.match(old, '^(%d+):(%d+):(%x+)(.*)$')
  return { version = tonumber(v or '0'), not_after = tonumber(na or '0'),
    sha1 = fp or '', choice = choice or '' }
end

-- The version that follows: of the index or, where nothing was served, of the
-- record.
local function next_version(domain, entry)
  local v = tonumber(redis.call('HGET', domain, 'version') or '0') or 0
  return math.max(v, entry and entry.version or 0) + 1
end

local MANAGED_FIELDS = { 'sha1', 'serial', 'issuer', 'not_before', 'not_after', 'renew_at',
  'ca', 'ari_id', 'ari_id_second', 'ca_second', 'ari_poll_at', 'ari_start', 'ari_end', 'explanation_url' }
local CUSTOM_FIELDS = { 'custom_sha1', 'custom_serial', 'custom_issuer', 'custom_subject',
  'custom_key', 'custom_note', 'custom_not_before', 'custom_not_after', 'custom_left_at' }

-- Is there a managed certificate that could be served?
local function has_managed(domain, cert)
  local h = redis.call('HMGET', domain, 'sha1', 'not_after')
  return h[1] and h[1] ~= '' and tonumber(h[2] or '0') > now_ms() and
    redis.call('EXISTS', cert) == 1
end

-- What people read until the leader has looked.
local function say(domain, status, reason)
  redis.call('HSET', domain, 'status', status, 'reason', reason, 'status_at', text(now_ms()))
end

-- Another kind of certificate is served from now on, as the owner chose: nodes
-- take it whatever its dates are.  k names the keys.
local function serve(k, name, kind, sha1, not_after, since)
  local v = next_version(k.domain, indexed(k.index, name))
  local gen = redis.call('INCR', k.gen)
  redis.call('HSET', k.index, name,
    v .. ':' .. not_after .. ':' .. sha1 .. ':' .. kind .. ':' .. since)
  redis.call('ZREM', k.removed, name)
  redis.call('HSET', k.domain, 'version', v, 'gen', gen)
  say(k.domain, 'creating', 'the ' .. (kind == 'custom' and 'uploaded' or 'managed') ..
    ' certificate is on its way to the nodes')
  tell(k.events, k.timeline, { 'type', kind, 'name', name, 'at', text(now_ms()),
    'version', v, 'gen', gen, 'sha1', sha1, 'not_after', not_after, 'since', since })
  return { v, gen }
end

local function serve_managed(k, name, since)
  local h = redis.call('HMGET', k.domain, 'sha1', 'not_after')
  return serve(k, name, 'managed', h[1], h[2], since)
end

-- Nodes drop a certificate because it is written down, never because the index
-- lacks it: an emptied Redis must not take certificates away.  Returns the
-- generation, 0 when nothing was served.
local function unserve(index, generation, removed, name)
  if redis.call('HDEL', index, name) == 0 then
    return 0
  end
  local gen, now = redis.call('INCR', generation), now_ms()
  redis.call('ZADD', removed, text(now), name)
  redis.call('ZREMRANGEBYSCORE', removed, '-inf', text(now - REMOVED_MS))
  return gen
end

local function withdrawn(k, name)
  local gen = unserve(k.index, k.gen, k.removed, name)
  tell(k.events, k.timeline, { 'type', 'withdrawn', 'name', name, 'at', text(now_ms()),
    'gen', text(gen) })
end

local function forget_custom(k)
  redis.call('DEL', k.custom, k.custom .. BUNDLE_PREVIOUS, k.custom .. BUNDLE_WAS)
  redis.call('HDEL', k.domain, unpack(CUSTOM_FIELDS))
end

-- Which names a canary is to prove: a HASH, name -> sha1:since:node, of an
-- owner's own certificate sha1:since:node:custom.  A name has one trial at the
-- time: who asks for another ends the one before.
local function unlist(domain, custom)
  local partition, name = at_domain(domain)
  local entry = redis.call('HGET', partition .. 'canary', name)
  if entry and (string.sub(entry, -7) == ':custom') == custom then
    redis.call('HDEL', partition .. 'canary', name)
  end
end

local function unstage(domain, cert)
  redis.call('DEL', cert .. BUNDLE_NEXT, cert .. BUNDLE_STAGED)
  unlist(domain, false)
  redis.call('HDEL', domain, 'canary')
end

-- What was said of an owner's that was stopped is not true any more.
local function unstage_custom(domain, custom)
  if redis.call('HEXISTS', custom .. BUNDLE_STAGED, 'stops') == 1 then
    redis.call('HDEL', domain, 'action', 'last_error')
  end
  redis.call('DEL', custom .. BUNDLE_NEXT, custom .. BUNDLE_STAGED)
  unlist(domain, true)
  redis.call('HDEL', domain, 'custom_trial_at')
end

-- An owner's own on trial is not wanted any more: what is served stays, unless
-- Let's Encrypt was switched off meanwhile, as it was to be served instead.
local function leave_trial(k, name)
  unstage_custom(k.domain, k.custom)
  tell(k.events, k.timeline, { 'type', 'unstaged', 'name', name, 'at', text(now_ms()),
    'kind', 'custom' })
  local h = redis.call('HMGET', k.domain, 'custom_sha1', 'letsencrypt', 'custom_left_at')
  if (not h[1] or h[3]) and h[2] == '0' then
    forget_custom(k)
    withdrawn(k, name)
    say(k.domain, 'disabled', "Let's Encrypt is switched off for this domain")
  elseif redis.call('HEXISTS', k.index, name) == 1 then
    -- The leader says anew how it is served.
    redis.call('HSET', k.domain, 'proven', '0')
    say(k.domain, 'creating', 'the certificate of before stays')
  else
    say(k.domain, 'pending_dns', 'its DNS is being checked')
  end
end

-- Beside the owner's certificate: as it is now, to be rolled back to.
local function keep_custom(k)
  local values = redis.call('HMGET', k.domain, unpack(CUSTOM_FIELDS))
  redis.call('SET', k.custom .. BUNDLE_PREVIOUS, redis.call('GET', k.custom) or '')
  redis.call('DEL', k.custom .. BUNDLE_WAS)
  for i, field in ipairs(CUSTOM_FIELDS) do
    if values[i] then
      redis.call('HSET', k.custom .. BUNDLE_WAS, field, values[i])
    end
  end
end

-- Another of its owner's is about to follow.  One of the CA's that is followed
-- stays where it is; one that was never proven is not gone back to while there
-- is one that was.
local function keep_previous_custom(k)
  local h = redis.call('HMGET', k.domain, 'custom_sha1', 'custom_left_at', 'version', 'proven')
  if not h[1] or h[2] then
    redis.call('DEL', k.custom .. BUNDLE_PREVIOUS, k.custom .. BUNDLE_WAS)
  elseif h[3] == h[4] or redis.call('EXISTS', k.custom .. BUNDLE_PREVIOUS) == 0 then
    keep_custom(k)
  end
end

-- One of the CA's is served from now on: an owner's that was left by a rollback
-- is not the one of before any more.
local function forget_left_custom(domain)
  local partition, name = at_domain(domain)
  local custom = partition .. 'custom:' .. name
  if redis.call('EXISTS', custom) == 0 then
    redis.call('DEL', custom .. BUNDLE_PREVIOUS, custom .. BUNDLE_WAS)
  end
end

-- KEYS domain custom cert due index gen events removed timeline, by name.
local function owner_keys(keys)
  return { domain = keys[1], custom = keys[2], cert = keys[3], due = keys[4], index = keys[5],
    gen = keys[6], events = keys[7], removed = keys[8], timeline = keys[9] }
end

local function version()
  return VERSION
end

-- KEYS leader; ARGV node ttl_ms seen.  Take or renew the lease.  seen: the highest
-- epoch that the node has been refused for.
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
    epoch = math.max(epoch + 1, now, (tonumber(args[3] or '0') or 0) + 1)
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

-- Was the record read before its owner changed it?  The fields of an update
-- tell the changed_at that was read, or that there was none.
local function stale(domain, args, from, n)
  local changed = redis.call('HGET', domain, 'changed_at')
  for i = from, from + 2 * n - 2, 2 do
    if args[i] == 'changed_at' then
      return args[i + 1] ~= changed
    end
  end
  for i = from + 2 * n, #args do
    if args[i] == 'changed_at' then
      return changed ~= false
    end
  end
  return false
end

-- KEYS domain; ARGV epoch.
-- The leader takes the domain in hand: whoever led before changes nothing of it any
-- more, so that what is read here stays true until we change it.
-- Returns the record as HGETALL has it, empty when there is none.
local function take(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    return {}
  end
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  if redis.call('HGET', keys[1], 'epoch') ~= args[1] then
    redis.call('HSET', keys[1], 'epoch', args[1])
  end
  return redis.call('HGETALL', keys[1])
end

-- KEYS domain due events timeline; ARGV epoch name next_at event nfields field value...
-- [field to delete...].  next_at: "" as it is, "-" nothing due.  event: "" or
-- the event's type; it carries the record's status, reason and action, and the
-- version that is proven from now on.  Refused as CHANGED when the owner's change came in between.
local function update(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local n = tonumber(args[5])
  if stale(keys[1], args, 6, n) then
    return fail('CHANGED', 'the owner has changed the domain meanwhile')
  end
  local proven = redis.call('HGET', keys[1], 'proven') or ''
  if n > 0 then
    redis.call('HSET', keys[1], unpack(args, 6, 5 + 2 * n))
  end
  redis.call('HSET', keys[1], 'epoch', args[1])
  if #args > 5 + 2 * n then
    redis.call('HDEL', keys[1], unpack(args, 6 + 2 * n))
  end
  schedule(keys[2], args[2], args[3])
  if args[4] ~= '' then
    local h = redis.call('HMGET', keys[1], 'status', 'reason', 'next_at', 'action', 'proven')
    tell(keys[3], keys[4], { 'type', args[4], 'name', args[2], 'at', text(now_ms()),
      'status', h[1] or '', 'reason', h[2] or '', 'next_at', h[3] or '',
      'action', h[4] or '', 'proven', h[5] and h[5] ~= proven and h[5] or '' })
  end
  return 1
end

-- KEYS domain cert order due index gen events removed timeline custom; ARGV name
-- Returns 1, or 0 when there was no such domain.
local function remove(keys, args)
  local name, app = args[1], redis.call('HGET', keys[1], 'app')
  if redis.call('DEL', keys[1]) == 0 then
    return 0
  end
  for _, key in ipairs { keys[2], keys[10] } do
    redis.call('DEL', key, key .. BUNDLE_PREVIOUS, key .. BUNDLE_NEXT, key .. BUNDLE_STAGED,
      key .. BUNDLE_WAS)
  end
  redis.call('DEL', keys[3], keys[9])
  local partition = at_domain(keys[1])
  redis.call('HDEL', partition .. 'canary', name)
  redis.call('ZREM', keys[4], name)
  local gen = unserve(keys[5], keys[6], keys[8], name)
  event(keys[7], { 'type', 'removed', 'name', name, 'at', text(now_ms()), 'gen', text(gen),
    'app', app or '' })
  return 1
end

-- KEYS domain custom cert due index gen events removed timeline
-- ARGV name sha1 not_after bundle nfields field value...
-- The owner's own certificate is the domain's from now on.  The same again
-- changes nothing but that it stays.  Returns { version, gen }.
local function custom_set(keys, args)
  local k, name, sha1 = owner_keys(keys), args[1], args[2]
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  end
  local had = redis.call('HMGET', k.domain, 'custom_sha1', 'version', 'gen')
  local since = owner_changed(k.domain)
  unstage_custom(k.domain, k.custom)
  if had[1] ~= sha1 then
    keep_previous_custom(k)
  end
  redis.call('SET', k.custom, args[4])
  redis.call('HDEL', k.domain, unpack(CUSTOM_FIELDS))
  put_fields(k.domain, args, 6, tonumber(args[5]))
  redis.call('HSET', k.domain, 'custom_sha1', sha1, 'custom_not_after', args[3])
  schedule(k.due, name, text(now_ms()))
  if had[1] == sha1 then
    return { tonumber(had[2] or '0'), tonumber(had[3] or '0') }
  end
  return serve(k, name, 'custom', sha1, args[3], since)
end

-- KEYS and ARGV as custom_set.  The owner's own certificate waits until one node
-- has proven it: what is served stays.  One that was on trial before it is not
-- wanted any more; one of the CA's waits, and begins anew.
-- Returns { version, gen, staged 0|1 }.
local function custom_stage(keys, args)
  local k, name, sha1 = owner_keys(keys), args[1], args[2]
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  end
  local had = redis.call('HMGET', k.domain, 'custom_sha1', 'version', 'gen')
  if had[1] == sha1 then
    if redis.call('EXISTS', k.custom .. BUNDLE_STAGED) == 1 then
      leave_trial(k, name)
    end
    return custom_set(keys, args)
  end
  unstage_custom(k.domain, k.custom)
  if redis.call('EXISTS', k.cert .. BUNDLE_STAGED) == 1 then
    unlist(k.domain, false)
    redis.call('HSET', k.cert .. BUNDLE_STAGED, 'node', '')
    redis.call('HSET', k.domain, 'canary', '-')
  end
  owner_changed(k.domain)
  redis.call('SET', k.custom .. BUNDLE_NEXT, args[4])
  redis.call('HSET', k.custom .. BUNDLE_STAGED, 'sha1', sha1, 'not_after', args[3],
    'at', text(now_ms()), 'kind', 'custom', 'fields', cmsgpack.pack({ unpack(args, 5) }))
  redis.call('HSET', k.domain, 'custom_trial_at', '1')
  schedule(k.due, name, text(now_ms()))
  say(k.domain, 'creating', 'the uploaded certificate is to be proven by one node')
  tell(k.events, k.timeline, { 'type', 'staged', 'name', name, 'at', text(now_ms()),
    'sha1', sha1, 'not_after', args[3], 'kind', 'custom' })
  return { tonumber(had[2] or '0'), tonumber(had[3] or '0'), 1 }
end

-- KEYS as custom_set; ARGV name epoch sha1.  That staged certificate is proven:
-- it is the domain's from now on.  Returns { version, gen }.
local function custom_promote(keys, args)
  local k = owner_keys(keys)
  local refused = fence(k.domain, args[2])
  if refused then
    return refused
  end
  local s = redis.call('HMGET', k.custom .. BUNDLE_STAGED, 'sha1', 'not_after', 'fields')
  local bundle = redis.call('GET', k.custom .. BUNDLE_NEXT)
  if s[1] ~= args[3] or not bundle then
    return fail('STEP', 'that certificate is not staged')
  end
  redis.call('HSET', k.domain, 'epoch', args[2])
  return custom_set(keys, { args[1], s[1], s[2], bundle, unpack(cmsgpack.unpack(s[3])) })
end

-- KEYS as custom_set; ARGV name epoch.  What its owner has uploaded ends before
-- a canary has proven it.
local function custom_unstaged(keys, args)
  local k = owner_keys(keys)
  local refused = fence(k.domain, args[2])
  if refused then
    return refused
  end
  leave_trial(k, args[1])
  return redis.call('HSET', k.domain, 'epoch', args[2])
end

-- The owner wants no certificate of its own, so none on trial either.
-- Returns 1 where only a trial ends by that.
local function clear_trial(k, name)
  local staged = redis.call('EXISTS', k.custom .. BUNDLE_STAGED) == 1
  if redis.call('HEXISTS', k.domain, 'custom_sha1') == 1 then
    unstage_custom(k.domain, k.custom)
    return 0
  end
  forget_custom(k)
  if staged then
    owner_changed(k.domain)
    leave_trial(k, name)
    schedule(k.due, name, text(now_ms()))
  end
  return staged and 1 or 0
end

-- KEYS as custom_set; ARGV name epoch sha1
-- The custom certificate goes.  Where Let's Encrypt is on the managed one
-- follows at once or, while there is none, the custom one stays until there is
-- (2).  epoch "": the owner asks; else the leader, because there is one now, and
-- means the one with that sha1: the owner may have a newer one by now.
-- Returns 1, 2, or 0 when there is no custom one or nothing to follow it.
local function custom_clear(keys, args)
  local k, name, leader = owner_keys(keys), args[1], args[2] ~= ''
  if leader then
    local refused = fence(k.domain, args[2])
    if refused then
      return refused
    end
  elseif redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  elseif clear_trial(k, name) == 1 then
    return 1
  end
  local h = redis.call('HMGET', k.domain, 'custom_sha1', 'letsencrypt')
  local on, managed = h[2] ~= '0', has_managed(k.domain, k.cert)
  -- Leaders of before do not say which they mean.
  local another = leader and args[3] and h[1] ~= args[3]
  if not h[1] or another or (leader and not (on and managed)) then
    return 0
  end
  local since = owner_changed(k.domain)
  schedule(k.due, name, text(now_ms()))
  if on and not managed then
    redis.call('HSET', k.domain, 'custom_left_at', since)
    tell(k.events, k.timeline, { 'type', 'leaving', 'name', name, 'at', text(now_ms()) })
    return 2
  end
  forget_custom(k)
  if on then
    serve_managed(k, name, since)
  else
    withdrawn(k, name)
    say(k.domain, 'disabled', "Let's Encrypt is switched off for this domain")
  end
  return 1
end

-- KEYS as custom_set; ARGV name on
-- The owner switches Let's Encrypt off ("0") or on ("1").  Off: its certificate
-- is served no longer, but kept, and a custom one that was only waiting for it
-- goes; what is served stays while one of the owner's is on trial.  On: a kept
-- one that is still good is served again.
-- Returns 1, or 0 when it was so already.
local function letsencrypt(keys, args)
  local k, name, on = owner_keys(keys), args[1], args[2]
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  end
  local h = redis.call('HMGET', k.domain, 'letsencrypt', 'custom_sha1', 'custom_left_at')
  if (h[1] or '1') == on then
    return 0
  end
  local since = owner_changed(k.domain)
  redis.call('HSET', k.domain, 'letsencrypt', on)
  schedule(k.due, name, text(now_ms()))
  tell(k.events, k.timeline, { 'type', on == '1' and 'enabled' or 'disabled', 'name', name,
    'at', text(now_ms()) })
  if on == '1' then
    if not h[2] then
      say(k.domain, 'pending_dns', 'its DNS is being checked')
    end
    if not has_managed(k.domain, k.cert) then
      redis.call('DEL', k.cert)
      redis.call('HDEL', k.domain, unpack(MANAGED_FIELDS))
    elseif not h[2] then
      serve_managed(k, name, since)
    end
  elseif (not h[2] or h[3]) and redis.call('EXISTS', k.custom .. BUNDLE_STAGED) == 0 then
    forget_custom(k)
    withdrawn(k, name)
    say(k.domain, 'disabled', "Let's Encrypt is switched off for this domain")
  end
  return 1
end

-- KEYS as custom_set; ARGV name on
-- The domain is its app's canonical one ("1"), or no longer ("0"): nothing that
-- the leader decides upon.
-- Returns 1, or 0 when it was so already.
local function canonical(keys, args)
  local k, name, on = owner_keys(keys), args[1], args[2]
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  end
  if (redis.call('HGET', k.domain, 'canonical') or '0') == on then
    return 0
  end
  redis.call('HSET', k.domain, 'canonical', on)
  tell(k.events, k.timeline, { 'type', 'canonical', 'name', name, 'at', text(now_ms()),
    'canonical', on })
  return 1
end

-- KEYS as custom_set; ARGV name reason
-- The owner wants the managed certificate revoked at the CA.
-- Returns 1, or 0 when there is none.
local function revoke(keys, args)
  local k, name = owner_keys(keys), args[1]
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  end
  if not has_managed(k.domain, k.cert) then
    return 0
  end
  owner_changed(k.domain)
  redis.call('HSET', k.domain, 'revoke', args[2])
  schedule(k.due, name, text(now_ms()))
  tell(k.events, k.timeline, { 'type', 'revoke', 'name', name, 'at', text(now_ms()),
    'reason', args[2] })
  return 1
end

-- KEYS as custom_set; ARGV name
-- The owner wants another certificate now, or the next attempt at one.
-- Returns 1.
local function renew(keys, args)
  local k, name = owner_keys(keys), args[1]
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  end
  owner_changed(k.domain)
  if redis.call('HEXISTS', k.domain, 'sha1') == 1 then
    redis.call('HSET', k.domain, 'renew_at', text(now_ms()))
  end
  schedule(k.due, name, text(now_ms()))
  tell(k.events, k.timeline, { 'type', 'renew', 'name', name, 'at', text(now_ms()) })
  return 1
end

-- KEYS env; ARGV old new
-- The variables of an app, sealed, are changed by who has seen the old ones;
-- "": there are none.
local function env_put(keys, args)
  if (redis.call('GET', keys[1]) or '') ~= args[1] then
    return fail('CHANGED', 'the variables were changed meanwhile')
  end
  if args[2] == '' then
    return redis.call('DEL', keys[1])
  end
  redis.call('SET', keys[1], args[2])
  return 1
end

-- KEYS domain due events timeline; ARGV name
-- The variables that this wildcard is made with are others now: when it waits
-- for a certificate, or has failed, it is due.  Returns 1, or 0.
local function env_changed(keys, args)
  local h = redis.call('HMGET', keys[1], 'status', 'attempts')
  local waits = h[1] == 'pending_dns' or h[1] == 'creating' or h[1] == 'action_required'
  if not waits and (not h[1] or (tonumber(h[2] or '0') or 0) == 0) then
    return 0
  end
  owner_changed(keys[1])
  schedule(keys[2], args[1], text(now_ms()))
  tell(keys[3], keys[4], { 'type', 'env', 'name', args[1], 'at', text(now_ms()) })
  return 1
end

-- KEYS as custom_set; ARGV name epoch sha1
-- The CA has revoked that certificate.  While it is served it stays until the
-- next one, due now and taken whatever its dates; else it is forgotten.
local function revoked(keys, args)
  local k, name, sha1 = owner_keys(keys), args[1], args[3]
  local refused = fence(k.domain, args[2])
  if refused then
    return refused
  end
  local since = owner_changed(k.domain)
  redis.call('HDEL', k.domain, 'revoke')
  if redis.call('HGET', k.domain, 'sha1') ~= sha1 then
    return 0
  end
  local old = indexed(k.index, name)
  if old and old.sha1 == sha1 then
    redis.call('HSET', k.index, name,
      old.version .. ':0:' .. sha1 .. ':managed:' .. since)
    redis.call('HSET', k.domain, 'renew_at', text(now_ms()))
  else
    redis.call('DEL', k.cert)
    redis.call('HDEL', k.domain, unpack(MANAGED_FIELDS))
  end
  schedule(k.due, name, text(now_ms()))
  tell(k.events, k.timeline, { 'type', 'revoked', 'name', name, 'at', text(now_ms()),
    'sha1', sha1 })
  return 1
end

-- The journal is only for who has taken the domain here: an epoch with "=" before
-- it must be the record's own, or nobody has led yet.  A leader whose Redis was
-- replaced by another in the middle of its work has not taken it there, and what it
-- has read is not true there.
local function taken(domain, args)
  local epoch = string.match(args[1], '^=(%d+)$')
  if not epoch then
    return nil
  end
  args[1] = epoch
  local seen = redis.call('HGET', domain, 'epoch')
  if seen and seen ~= '0' and tonumber(seen) < tonumber(epoch) then
    return fail('FENCED', 'epoch ' .. epoch .. ' has not taken the domain, but ' .. seen)
  end
  return nil
end

-- KEYS domain order; ARGV epoch expected step field value...
-- The journal of the order in flight moves from one step to the next.
-- expected: "" there must be no journal, "*" whatever it says.  The journal
-- remembers when it was begun (started_at) and last moved (at).
-- Returns when it was begun.
local function journal(keys, args)
  local refused = taken(keys[1], args) or fence(keys[1], args[1])
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
  return redis.call('HGET', keys[2], 'started_at')
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

-- What is served is about to be followed: it can be rolled back to, unless it
-- was revoked, or was never proven while one that was is there.
local function keep_previous(domain, cert, old)
  local previous = cert .. BUNDLE_PREVIOUS
  local h = redis.call('HMGET', domain, 'version', 'proven')
  local bundle = redis.call('GET', cert)
  if bundle and old.not_after > 0 and (h[1] == h[2] or redis.call('EXISTS', previous) == 0) then
    redis.call('SET', previous, bundle)
  end
end

-- KEYS domain cert order due index gen events timeline
-- ARGV epoch name sha1 not_after next_at force bundle nfields field value...
-- [field to delete...]
-- A certificate becomes the domain's: bundle, record, index, journal, due and
-- event change together.  Refuses one that ends earlier than what is there
-- (WORSE) unless force is "1": it is the newer one, only shorter.  The same certificate again changes nothing.
-- The fields' own version, gen and epoch do not count.  While a custom one is
-- served, or Let's Encrypt was switched off meanwhile, it is only kept.
-- kind: "imported"; else it is issued, and the order is over.
-- Returns { version, gen }.
local function commit(keys, args, kind)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local name, sha1, not_after = args[2], args[3], args[4]
  local gen = tonumber(redis.call('GET', keys[6]) or '0')
  local h = redis.call('HMGET', keys[1], 'custom_sha1', 'letsencrypt', 'version', 'sha1',
    'rolled_back_at')
  if h[5] and redis.call('EXISTS', keys[3]) == 0 then
    return fail('GONE', 'the domain was rolled back while this was ordered')
  end
  local spare = h[1] or h[2] == '0'
  local old = indexed(keys[5], name)
  if spare and not h[1] and old then
    return fail('GONE', 'what is served stays until the uploaded certificate is proven')
  end
  local version = old and old.version or tonumber(h[3] or '0')
  if (spare and h[4] or (old and old.sha1)) == sha1 then
    return { version, gen }
  end
  local choice = old and old.choice or ''
  if old and not spare then
    if tonumber(not_after) < old.not_after then
      if args[6] ~= '1' then
        return fail('WORSE', 'it ends at ' .. not_after .. ', what is there at ' ..
          text(old.not_after))
      end
      -- Nodes take it whatever its dates, as if its owner had chosen it.
      choice = ':managed:' .. text(now_ms())
    end
    keep_previous(keys[1], keys[2], old)
  end
  redis.call('SET', keys[2], args[7])
  forget_left_custom(keys[1])
  local n = tonumber(args[8])
  put_fields(keys[1], args, 9, n)
  drop_fields(keys[1], args, 9 + 2 * n)
  redis.call('HSET', keys[1], 'epoch', args[1])
  redis.call('HDEL', keys[1], 'rolled_back_at')
  if not kind then
    redis.call('DEL', keys[3])
  end
  schedule(keys[4], name, args[5])
  if spare then
    tell(keys[7], keys[8], { 'type', kind or 'issued', 'name', name, 'at', text(now_ms()),
      'sha1', sha1, 'not_after', not_after, 'spare', '1' })
    return { version, gen }
  end
  version = next_version(keys[1], old)
  gen = redis.call('INCR', keys[6])
  redis.call('HSET', keys[5], name,
    version .. ':' .. not_after .. ':' .. sha1 .. choice)
  redis.call('HSET', keys[1], 'version', version, 'gen', gen)
  tell(keys[7], keys[8], { 'type', kind or 'issued', 'name', name, 'at', text(now_ms()),
    'version', version, 'gen', gen, 'sha1', sha1, 'not_after', not_after,
    'since', string.match(choice, ':(%d+)$') or '' })
  return { version, gen }
end

-- What is restored comes to be the domain's: bundle, and what tells of it.
local function put_restored(k, order, custom, chosen, bundle)
  if custom then
    redis.call('SET', k.custom, bundle)
    redis.call('HDEL', k.domain, unpack(CUSTOM_FIELDS))
  else
    redis.call('SET', k.cert, bundle)
    redis.call('DEL', order)
    if chosen then
      forget_custom(k)
    end
  end
end

-- KEYS as custom_set, then order
-- ARGV epoch name kind sha1 not_after since bundle nborn field value... field value...
-- A certificate that a node still holds and Redis has lost, or has an older one
-- of.  kind: custom or managed; since: when its owner chose that, 0: not known.
-- The first nborn fields are of a domain that has been lost as well.
-- Returns { what, version, gen }; what is 1: taken, 2: it is there, 0: not
-- wanted: removed, switched off, or there is a newer one.
local function restore(keys, args)
  local k, name, kind, sha1 = owner_keys(keys), args[2], args[3], args[4]
  local not_after, since, custom = tonumber(args[5]), tonumber(args[6]), args[3] == 'custom'
  local born = redis.call('EXISTS', k.domain) == 0
  if redis.call('ZSCORE', k.removed, name) then
    return { 0, 0, 0 }
  end
  local refused = not born and fence(k.domain, args[1])
  if refused then
    return refused
  end
  local h = redis.call('HMGET', k.domain, 'version', 'gen', 'letsencrypt')
  local old = indexed(k.index, name)
  local chosen = old and tonumber(string.match(old.choice, ':(%d+)$') or '0') or 0
  if old and old.sha1 == sha1 and since <= chosen then
    redis.call('HSET', k.domain, 'epoch', args[1])
    return { 2, tonumber(h[1] or '0'), tonumber(h[2] or '0') }
  end
  local newer = not old or since > chosen or (since == chosen and not_after > old.not_after)
  if not newer or (not custom and h[3] == '0') then
    return { 0, 0, 0 }
  end
  local nborn = tonumber(args[8])
  if born then
    redis.call('HSET', k.domain, 'name', name, unpack(args, 9, 8 + 2 * nborn))
  end
  put_restored(k, keys[10], custom, since > chosen, args[7])
  redis.call('HSET', k.domain, 'epoch', args[1], unpack(args, 9 + 2 * nborn))
  schedule(k.due, name, text(now_ms()))
  local v = next_version(k.domain, old)
  local gen = redis.call('INCR', k.gen)
  local choice = since > 0 and ':' .. kind .. ':' .. text(since) or ''
  redis.call('HSET', k.index, name, v .. ':' .. args[5] .. ':' .. sha1 .. choice)
  redis.call('HSET', k.domain, 'version', v, 'gen', gen)
  say(k.domain, 'creating', 'its certificate was brought back by a node that still had it')
  tell(k.events, k.timeline, { 'type', 'restored', 'name', name, 'at', text(now_ms()),
    'version', v, 'gen', gen, 'sha1', sha1, 'not_after', args[5],
    'since', since > 0 and text(since) or '', 'kind', kind })
  return { 1, v, gen }
end

-- The fields of what was imported, with what a record that is to say so lacks.
local function imported_fields(args)
  local n = tonumber(args[7])
  local list, given = { text(n + 2), 'sha1', args[3], 'not_after', args[4] }, {}
  given.sha1, given.not_after = true, true
  for i = 8, 7 + 2 * n, 2 do
    list[#list + 1], list[#list + 2] = args[i], args[i + 1]
    given[args[i]] = true
  end
  for _, field in ipairs(MANAGED_FIELDS) do
    if not given[field] then
      list[#list + 1] = field
    end
  end
  for _, field in ipairs { 'action', 'attempts', 'last_error', 'rate_limited_until' } do
    list[#list + 1] = field
  end
  return list
end

-- What was made elsewhere waits until one node has proven it, as what the CA
-- issues does: stage().  An order in flight goes on.
local function stage_import(k, args, status)
  local name, now = args[1], text(now_ms())
  unstage(k.domain, k.cert)
  redis.call('SET', k.cert .. BUNDLE_NEXT, args[6])
  redis.call('HSET', k.cert .. BUNDLE_STAGED, 'sha1', args[3], 'not_after', args[4],
    'next_at', now, 'force', '', 'at', now, 'kind', 'imported',
    'fields', cmsgpack.pack(imported_fields(args)))
  redis.call('HSET', k.domain, 'canary', '-')
  redis.call('HDEL', k.domain, 'rolled_back_at')
  redis.call('ZREM', k.removed, name)
  schedule(k.due, name, now)
  say(k.domain, status == 'in_use' and status or 'creating',
    'the imported certificate is to be proven by one node')
  tell(k.events, k.timeline, { 'type', 'staged', 'name', name, 'at', now, 'sha1', args[3],
    'not_after', args[4], 'kind', 'imported' })
end

-- KEYS as custom_set; ARGV name app sha1 not_after dry bundle nfields field value...
-- A certificate that was made elsewhere becomes the managed one of the domain,
-- which is added when it is not there.  One that is there stays when it ends
-- later; while a custom one is served, or Let's Encrypt is off, it is only kept.
-- dry "1": nothing is changed.  staging: what would be served waits for a canary.
-- Returns what it was, or would be: "imported" (there was none), "replaced",
-- "kept", "unchanged" or "worse".
local function import(keys, args, staging)
  local k, name, app, sha1, not_after = owner_keys(keys), args[1], args[2], args[3], args[4]
  local h = redis.call('HMGET', k.domain, 'app', 'custom_sha1', 'letsencrypt', 'sha1',
    'not_after', 'status')
  if h[1] and h[1] ~= app then
    return fail('TAKEN', 'the name has already been taken')
  end
  local old, had = indexed(k.index, name), has_managed(k.domain, k.cert)
  if had then
    if h[4] == sha1 then
      return 'unchanged'
    end
    -- One that was revoked is in the index with no end: anything is better.
    local ends = old and old.sha1 == h[4] and old.not_after or tonumber(h[5])
    if ends >= tonumber(not_after) then
      return 'worse'
    end
  end
  local spare = h[2] or h[3] == '0'
  if spare and not h[2] and old then
    return fail('REFUSED', 'an uploaded certificate is on trial: import again when that is over')
  end
  local result = spare and 'kept' or had and 'replaced' or 'imported'
  staging = staging and not spare
  local waits = redis.call('HMGET', k.cert .. BUNDLE_STAGED, 'sha1', 'not_after')
  if staging and waits[1] == sha1 then
    return 'unchanged'
  elseif staging and waits[1] and tonumber(waits[2]) >= tonumber(not_after) then
    return 'worse'
  elseif args[5] == '1' then
    return result
  end
  local now = text(now_ms())
  if not h[1] then
    redis.call('HSET', k.domain, 'name', name, 'app', app, 'letsencrypt', '1',
      'created_at', now, 'epoch', '0')
  end
  owner_changed(k.domain)
  if staging then
    stage_import(k, args, h[6])
    return result
  end
  if not spare then
    forget_left_custom(k.domain)
  end
  if old and had and not spare then
    keep_previous(k.domain, k.cert, old)
  end
  redis.call('SET', k.cert, args[6])
  redis.call('HDEL', k.domain, unpack(MANAGED_FIELDS))
  redis.call('HDEL', k.domain, 'action', 'attempts', 'last_error', 'rate_limited_until',
    'rolled_back_at')
  put_fields(k.domain, args, 8, tonumber(args[7]))
  redis.call('HSET', k.domain, 'sha1', sha1, 'not_after', not_after)
  schedule(k.due, name, now)
  local fields = { 'type', 'imported', 'name', name, 'at', now, 'sha1', sha1,
    'not_after', not_after }
  if spare then
    fields[#fields + 1], fields[#fields + 2] = 'spare', '1'
  else
    local choice = old and old.choice or ''
    local v, gen = next_version(k.domain, old), redis.call('INCR', k.gen)
    redis.call('HSET', k.index, name, v .. ':' .. not_after .. ':' .. sha1 .. choice)
    redis.call('ZREM', k.removed, name)
    redis.call('HSET', k.domain, 'version', v, 'gen', gen)
    say(k.domain, h[6] == 'in_use' and 'in_use' or 'creating',
      'the imported certificate is on its way to the nodes')
    for _, x in ipairs { 'version', v, 'gen', gen, 'since', string.match(choice, ':(%d+)$') or '' } do
      fields[#fields + 1] = x
    end
  end
  tell(k.events, k.timeline, fields)
  return result
end

-- KEYS and ARGV as import: what would be served waits for a canary.
local function import_stage(keys, args)
  return import(keys, args, true)
end

-- Older leaders say with it that the previous bundle is needed no longer; it is,
-- to be rolled back to.
local function proven(_, _)
  return 0
end

-- KEYS and ARGV as commit.  The certificate waits beside the domain's own until
-- one node has proven it: nothing else changes but that the order is over.  One
-- that would only be kept is committed.  Returns { version, gen, staged 0|1 }.
local function stage(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local h = redis.call('HMGET', keys[1], 'custom_sha1', 'letsencrypt', 'version',
    'rolled_back_at')
  local old, staged = indexed(keys[5], args[2]), keys[2] .. BUNDLE_STAGED
  if h[1] or h[2] == '0' or (old and old.sha1 == args[3]) then
    return commit(keys, args)
  elseif old and tonumber(args[4]) < old.not_after and args[6] ~= '1' then
    return fail('WORSE', 'it ends at ' .. args[4] .. ', what is there at ' .. text(old.not_after))
  elseif h[4] and redis.call('EXISTS', keys[3]) == 0 then
    return fail('GONE', 'the domain was rolled back while this was ordered')
  end
  local reply = { tonumber(h[3] or '0'), tonumber(redis.call('GET', keys[6]) or '0'), 1 }
  redis.call('DEL', keys[3])
  if redis.call('HGET', staged, 'sha1') == args[3] then
    return reply
  end
  unstage(keys[1], keys[2])
  redis.call('SET', keys[2] .. BUNDLE_NEXT, args[7])
  redis.call('HSET', staged, 'sha1', args[3], 'not_after', args[4], 'next_at', args[5],
    'force', args[6], 'at', text(now_ms()), 'fields', cmsgpack.pack({ unpack(args, 8) }))
  redis.call('HSET', keys[1], 'epoch', args[1], 'canary', '-')
  redis.call('HDEL', keys[1], 'rolled_back_at') -- it was ordered since
  schedule(keys[4], args[2], text(now_ms()))
  tell(keys[7], keys[8], { 'type', 'staged', 'name', args[2], 'at', text(now_ms()),
    'sha1', args[3], 'not_after', args[4] })
  return reply
end

-- KEYS as commit; ARGV epoch name sha1.  The staged certificate becomes the
-- domain's.  Returns { version, gen }.
local function promote(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local s = redis.call('HMGET', keys[2] .. BUNDLE_STAGED, 'sha1', 'not_after', 'next_at', 'force',
    'fields', 'kind')
  local bundle = redis.call('GET', keys[2] .. BUNDLE_NEXT)
  if s[1] ~= args[3] or not bundle then
    return fail('STEP', 'that certificate is not staged')
  end
  local reply = commit(keys,
    { args[1], args[2], s[1], s[2], s[3], s[4], bundle, unpack(cmsgpack.unpack(s[5])) },
    s[6] or nil)
  if reply.err == nil then
    unstage(keys[1], keys[2])
  end
  return reply
end

-- KEYS domain cert|custom due events timeline
-- ARGV epoch name sha1 node next_at why tried [custom]
-- That node is to prove the staged certificate; node "": nobody is, it has
-- stopped, and why.  tried: the nodes that have not proven it in time.  custom
-- "custom": it is the owner's own, which leaves other things to be done until
-- next_at when it is stopped.  Returns since when.
local function canary(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  local name, node, since, staged = args[2], args[4], text(now_ms()), keys[2] .. BUNDLE_STAGED
  if redis.call('HGET', staged, 'sha1') ~= args[3] then
    return fail('STEP', 'that certificate is not staged')
  end
  local custom, going = args[8] == 'custom', node ~= ''
  redis.call('HSET', staged, 'node', node, 'since', since, 'why', args[6], 'tried', args[7])
  redis.call('HSET', keys[1], 'epoch', args[1])
  if custom then
    redis.call('HINCRBY', staged, 'stops', going and 0 or 1)
    redis.call('HSET', keys[1], 'custom_trial_at', going and '1' or args[5])
  else
    redis.call('HSET', keys[1], 'canary', going and node or '-')
  end
  if going then
    redis.call('HSET', at_domain(keys[1]) .. 'canary', name,
      args[3] .. ':' .. since .. ':' .. node .. (custom and ':custom' or ''))
  else
    unlist(keys[1], custom)
  end
  schedule(keys[3], name, args[5])
  tell(keys[4], keys[5], { 'type', going and 'canary' or 'stopped', 'name', name,
    'at', since, 'node', node, 'sha1', args[3], 'reason', args[6],
    'kind', custom and 'custom' or '' })
  return since
end

-- KEYS domain cert; ARGV epoch.  What is staged is not wanted any more.
local function unstaged(keys, args)
  local refused = fence(keys[1], args[1])
  if refused then
    return refused
  end
  unstage(keys[1], keys[2])
  return redis.call('HSET', keys[1], 'epoch', args[1])
end

-- From one of the CA's to the one before it; what it follows can be rolled back
-- to in its turn.
local function roll_managed(k, name, args, old, since)
  local partition, previous = at_domain(k.domain), k.cert .. BUNDLE_PREVIOUS
  local left = redis.call('GET', k.cert)
  if left and old.not_after > 0 then
    redis.call('SET', previous, left)
  else
    redis.call('DEL', previous)
  end
  redis.call('SET', k.cert, args[4])
  redis.call('DEL', partition .. 'order:' .. name)
  redis.call('HDEL', k.domain, unpack(MANAGED_FIELDS))
  put_fields(k.domain, args, 8, tonumber(args[7]))
  redis.call('HSET', k.domain, 'rolled_back_at', since)
  redis.call('HDEL', k.domain, 'attempts', 'last_error')
end

-- To an owner's own, or from it: where the CA's is the one before, it still is
-- where it was.
local function roll_custom(k, args, to_custom)
  local was = redis.call('HGETALL', k.custom .. BUNDLE_WAS)
  if redis.call('HEXISTS', k.domain, 'custom_sha1') == 1 then
    keep_custom(k)
  else
    redis.call('DEL', k.custom .. BUNDLE_PREVIOUS, k.custom .. BUNDLE_WAS)
  end
  redis.call('HDEL', k.domain, unpack(CUSTOM_FIELDS))
  if to_custom then
    redis.call('SET', k.custom, args[4])
    redis.call('HSET', k.domain, 'custom_sha1', args[2], 'custom_not_after', args[3],
      unpack(was))
  else
    redis.call('DEL', k.custom)
  end
end

-- KEYS as custom_set
-- ARGV name sha1 not_after bundle who why nfields field value... [custom]
-- The bundle of before is the domain's again: as an operator's choice, so that
-- nodes take it whatever its dates; what it follows can be rolled back to in its
-- turn.  What was ordered or staged meanwhile is not wanted.  custom "custom":
-- it is an owner's own that is rolled back to.  Returns { version, gen }.
local function rollback(keys, args)
  local k, name = owner_keys(keys), args[1]
  local h = redis.call('HMGET', k.domain, 'letsencrypt', 'custom_sha1', 'revoke', 'custom_left_at')
  local to_custom = args[8 + 2 * tonumber(args[7])] == 'custom'
  local old = indexed(k.index, name)
  local from = to_custom and k.custom .. BUNDLE_PREVIOUS or
    h[2] and k.cert or k.cert .. BUNDLE_PREVIOUS
  if redis.call('EXISTS', k.domain) == 0 then
    return fail('GONE', 'there is no such domain')
  elseif not old or h[4] or (not to_custom and (h[1] == '0' or h[3])) then
    return fail('BUSY', 'a certificate that stays is not served now')
  elseif redis.call('GET', from) ~= args[4] then
    return fail('CHANGED', 'the previous certificate is another by now')
  end
  local since = owner_changed(k.domain)
  unstage(k.domain, k.cert)
  unstage_custom(k.domain, k.custom)
  if to_custom or h[2] then
    roll_custom(k, args, to_custom)
  else
    roll_managed(k, name, args, old, since)
  end
  local kind = to_custom and 'custom' or 'managed'
  local v, gen = next_version(k.domain, old), redis.call('INCR', k.gen)
  redis.call('HSET', k.index, name,
    v .. ':' .. args[3] .. ':' .. args[2] .. ':' .. kind .. ':' .. since)
  redis.call('HSET', k.domain, 'version', v, 'gen', gen)
  schedule(k.due, name, text(now_ms()))
  say(k.domain, 'creating', 'the certificate of before is on its way to the nodes')
  tell(k.events, k.timeline, { 'type', 'rollback', 'name', name, 'at', text(now_ms()),
    'version', v, 'gen', gen, 'sha1', args[2], 'not_after', args[3], 'since', since,
    'by', args[5], 'reason', args[6], 'left', old.sha1, 'kind', kind })
  return { v, gen }
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

-- KEYS webhook; ARGV epoch partition id.  Events up to that one were delivered.
local function webhook(keys, args)
  local seen = tonumber(redis.call('HGET', keys[1], 'epoch') or '0') or 0
  if tonumber(args[1]) < seen then
    return fail('FENCED', 'epoch ' .. args[1] .. ' is older than ' .. text(seen))
  end
  redis.call('HSET', keys[1], 'epoch', args[1], args[2], args[3])
  return 1
end

-- KEYS meta; ARGV partitions cluster_id.  First start of a fleet, or not.
-- Returns { schema, partitions, cluster_id, named } as they are.
local function init(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    redis.call('HSET', keys[1], 'schema', '1', 'min_reader', '1', 'min_writer', '1',
      'partitions', args[1],
      'cluster_id', args[2], 'created_at', text(now_ms()), 'named', '1')
  end
  return redis.call('HMGET', keys[1], 'schema', 'partitions', 'cluster_id', 'named')
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

-- KEYS bucket...; ARGV id, and for each bucket limit window_ms spends.
-- Take one of each bucket, or of none when one has no room; spends "0": there
-- must be room in it, but nothing is taken.  As limit_spend() for each; what id
-- had from before is given back when it gets nothing.
-- Returns { granted 0|1, now, and for each bucket: room 0|1, left, next free
-- at, used by others }.
local function limits_spend(keys, args)
  local id, now = args[1], now_ms()
  local found, mine = { 1, text(now) }, {}
  for i, key in ipairs(keys) do
    local limit, window = tonumber(args[3 * i - 1]), tonumber(args[3 * i])
    local state, room = limit_state(key, limit, window, now), 1
    local used = state[1]
    mine[i] = args[3 * i + 1] == '1' and redis.call('ZSCORE', key, id)
    if state[3] > now or (state[2] > now and not mine[i]) then
      found[1], room = 0, 0
    end
    if mine[i] and tonumber(mine[i]) >= now - window then
      used = used - 1
    end
    found[4 * i - 1], found[4 * i] = room, math.max(0, limit - state[1])
    found[4 * i + 1], found[4 * i + 2] = text(state[2]), used
  end
  for i, key in ipairs(keys) do
    local limit, window = tonumber(args[3 * i - 1]), tonumber(args[3 * i])
    if found[1] == 0 and mine[i] then
      redis.call('ZREM', key, id)
    elseif found[1] == 1 and limit > 0 and args[3 * i + 1] == '1' then
      redis.call('ZADD', key, 'GT', text(now), id)
      limit_trim(key, window, now)
    end
  end
  return found
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

-- KEYS bucket...; ARGV for each limit window_ms.  Look at many, and take nothing.
-- Returns { now, and for each: left, next free at, used, blocked until }.
local function limits_peek(keys, args)
  local now = now_ms()
  local found = { text(now) }
  for i, key in ipairs(keys) do
    local limit, window = tonumber(args[2 * i - 1]), tonumber(args[2 * i])
    local state = limit_state(key, limit, window, now)
    found[4 * i - 2], found[4 * i - 1] = math.max(0, limit - state[1]), text(state[2])
    found[4 * i], found[4 * i + 1] = state[1], text(state[3])
  end
  return found
end

-- Beside the records of a partition: its names in order, and how many domains
-- there are in each status.  Their keys are made of the domain's, in whose slot
-- they are.
local function beside(domain)
  local partition, name = at_domain(domain)
  return partition .. 'names', partition .. 'counts', name
end

-- A Cluster does not know the keys that a function makes of others, and ends it
-- in the middle at one that is not there while their slot moves.  One that never
-- is ends it before it has changed anything: it is tried again.
local function whole(callback)
  return function(keys, args)
    redis.call('EXISTS', at_domain(keys[1]) .. 'timeline:')
    return callback(keys, args)
  end
end

-- Whatever a function does to a domain's status, the counts follow.
local function counted(callback)
  return whole(function(keys, args)
    local was = redis.call('HGET', keys[1], 'status')
    local result = callback(keys, args)
    local is = redis.call('HGET', keys[1], 'status')
    if was == is then
      return result
    end
    local names, counts, name = beside(keys[1])
    if not was then
      redis.call('ZADD', names, 0, name)
    elseif redis.call('HINCRBY', counts, was, -1) == 0 then
      redis.call('HDEL', counts, was)
    end
    if is then
      redis.call('HINCRBY', counts, is, 1)
    else
      redis.call('ZREM', names, name)
    end
    return result
  end)
end

-- KEYS domain..., of one partition.  Records of before there were names beside
-- them get theirs; the domains are counted anew when somebody asks.  Returns how
-- many had none.
local function fill(keys, _)
  local added = 0
  for _, key in ipairs(keys) do
    local names, counts, name = beside(key)
    if redis.call('EXISTS', key) == 1 and redis.call('ZADD', names, 0, name) == 1 then
      redis.call('DEL', counts)
      added = added + 1
    end
  end
  return added
end

-- KEYS meta.  All records have their names beside them.
local function named(keys, _)
  return redis.call('HSET', keys[1], 'named', '1')
end

-- KEYS names counts.  How many domains are in each status, as HGETALL has it;
-- counted anew when that is not how many names there are.
local function count(keys, _)
  local sum, flat = 0, redis.call('HGETALL', keys[2])
  for i = 2, #flat, 2 do
    sum = sum + tonumber(flat[i])
  end
  if sum == redis.call('ZCARD', keys[1]) then
    return flat
  end
  local partition = string.match(keys[1], '^(.*)names$')
  redis.call('DEL', keys[2])
  for _, name in ipairs(redis.call('ZRANGE', keys[1], 0, -1)) do
    local status = redis.call('HGET', partition .. 'domain:' .. name, 'status')
    if status then
      redis.call('HINCRBY', keys[2], status, 1)
    else
      redis.call('ZREM', keys[1], name)
    end
  end
  return redis.call('HGETALL', keys[2])
end

-- The next names of a partition, in their order, after that one; and what comes
-- before "names" in its keys.
local function walk(names, after, look)
  return redis.call('ZRANGE', names, after == '' and '-' or '(' .. after, '+', 'BYLEX',
    'LIMIT', 0, look), string.match(names, '^(.*)names$')
end

-- KEYS names; ARGV after look want text status.
-- Look at so many domains of a partition, in the order of their names, for those
-- with text in their name and in that status ("": in any); at most want of them.
-- Returns { the name to go on after, "" at the end; name... }.
local function find(keys, args)
  local names, partition = walk(keys[1], args[1], args[2])
  local want, found = tonumber(args[3]), { '' }
  for _, name in ipairs(names) do
    if string.find(name, args[4], 1, true) and (args[5] == '' or
        redis.call('HGET', partition .. 'domain:' .. name, 'status') == args[5]) then
      found[#found + 1] = name
      if #found > want then
        found[1] = name
        return found
      end
    end
  end
  if #names == tonumber(args[2]) then
    found[1] = names[#names]
  end
  return found
end

-- KEYS names; ARGV after look from day_ms days.
-- Look at so many domains of a partition for what is ahead on each day from then
-- on: renewals, ends of managed and of custom certificates.
-- Returns { the name to go on after, "" at the end; of renewals how many are
-- before, and of each day; the same of the others }.
local function ahead(keys, args)
  local names, partition = walk(keys[1], args[1], args[2])
  local from, day, days = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  local counts = { #names == tonumber(args[2]) and names[#names] or '' }
  for i = 1, 3 * (days + 1) do
    counts[i + 1] = 0
  end
  for _, name in ipairs(names) do
    local h = redis.call('HMGET', partition .. 'domain:' .. name, 'renew_at', 'not_after',
      'custom_not_after', 'letsencrypt')
    for i = h[4] == '0' and 3 or 1, 3 do
      local at = tonumber(h[i] or '0')
      local n = math.max(-1, math.floor((at - from) / day))
      if at > 0 and n < days then
        local k = (i - 1) * (days + 1) + n + 3
        counts[k] = counts[k] + 1
      end
    end
  end
  return counts
end

-- KEYS any of the server that is to be asked; ARGV cursor pattern count.
local function scan(_, args)
  return redis.call('SCAN', args[1], 'MATCH', args[2], 'COUNT', args[3])
end

-- KEYS key; ARGV old new [field]
-- What is sealed there, or in that field, is sealed with another key of the
-- ring now.  Returns 1, or 0 when it is something else by now.
local function reseal(keys, args)
  local field = args[3]
  local now = field and redis.call('HGET', keys[1], field) or
    not field and redis.call('GET', keys[1])
  if now ~= args[1] then
    return 0
  end
  if field then
    redis.call('HSET', keys[1], field, args[2])
  else
    redis.call('SET', keys[1], args[2], 'KEEPTTL')
  end
  return 1
end

local read_only = { 'no-writes' }

redis.register_function { function_name = 'certfleet_version', callback = version, flags = read_only }
redis.register_function('certfleet_lease', lease)
redis.register_function('certfleet_release', release)
redis.register_function('certfleet_add', counted(add))
redis.register_function('certfleet_take', take)
redis.register_function('certfleet_update', counted(update))
redis.register_function('certfleet_remove', counted(remove))
redis.register_function('certfleet_custom_set', counted(custom_set))
redis.register_function('certfleet_custom_stage', counted(custom_stage))
redis.register_function('certfleet_custom_promote', counted(custom_promote))
redis.register_function('certfleet_custom_unstaged', counted(custom_unstaged))
redis.register_function('certfleet_custom_clear', counted(custom_clear))
redis.register_function('certfleet_letsencrypt', counted(letsencrypt))
redis.register_function('certfleet_canonical', canonical)
redis.register_function('certfleet_import', counted(import))
redis.register_function('certfleet_import_stage', counted(import_stage))
redis.register_function('certfleet_revoke', counted(revoke))
redis.register_function('certfleet_revoked', counted(revoked))
redis.register_function('certfleet_renew', renew)
redis.register_function('certfleet_env_put', env_put)
redis.register_function('certfleet_env_changed', env_changed)
redis.register_function('certfleet_journal', journal)
redis.register_function('certfleet_abandon', abandon)
redis.register_function('certfleet_commit', counted(commit))
redis.register_function('certfleet_restore', counted(restore))
redis.register_function('certfleet_proven', proven)
redis.register_function('certfleet_stage', counted(stage))
redis.register_function('certfleet_promote', counted(promote))
redis.register_function('certfleet_canary', whole(canary))
redis.register_function('certfleet_unstaged', whole(unstaged))
redis.register_function('certfleet_rollback', counted(rollback))
redis.register_function('certfleet_claim', claim)
redis.register_function('certfleet_publish', publish)
redis.register_function('certfleet_withdraw', withdraw)
redis.register_function('certfleet_thumbprint', thumbprint)
redis.register_function('certfleet_beat', beat)
redis.register_function('certfleet_webhook', webhook)
redis.register_function('certfleet_init', init)
redis.register_function('certfleet_reseal', reseal)
redis.register_function('certfleet_count', count)
redis.register_function('certfleet_fill', fill)
redis.register_function('certfleet_named', named)
redis.register_function('certfleet_limit_spend', limit_spend)
redis.register_function('certfleet_limits_spend', limits_spend)
redis.register_function('certfleet_limit_refund', limit_refund)
redis.register_function('certfleet_limit_block', limit_block)
redis.register_function { function_name = 'certfleet_limits_peek', callback = limits_peek, flags = read_only }
redis.register_function { function_name = 'certfleet_limit_peek', callback = limit_peek, flags = read_only }
redis.register_function { function_name = 'certfleet_scan', callback = scan, flags = read_only }
redis.register_function { function_name = 'certfleet_records', callback = records, flags = read_only }
redis.register_function { function_name = 'certfleet_find', callback = find, flags = read_only }
redis.register_function { function_name = 'certfleet_ahead', callback = ahead, flags = read_only }
