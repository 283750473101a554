-- holds: shared by the scripts that must not count holds which have run out. Loaded before them.
--
-- A hold is taken like a charge, but it is written to the stream only when it is settled. It stands
-- in the sorted set of the account's holds (score: when it runs out, ms) and in the account's field
-- h:<hold id> = "week|allowance|boosts|credits|credit chats|key digest|key week chats|cost|at|key id|meter".

local function whole(number) return string.format('%.0f', number) end

-- Give parts of a charge back to where they came from. Answers the allowance chats given back:
-- those of a week that has ended are gone.
local function give_back(account, current_week, charge_week, allowance, boosts, credits, key_digest, chats)
  local returned = 0
  if charge_week == current_week then
    if allowance > 0 then
      returned = allowance
      redis.call('HINCRBY', account, 'used', whole(-allowance))
    end
    if key_digest ~= '' and chats > 0 then
      local counted = redis.call('HGET', account, 'u:' .. key_digest)
      local counted_week, counted_chats = string.match(counted or '', '^(%d+):(%d+)$')
      if tonumber(counted_week) == charge_week then
        redis.call('HSET', account, 'u:' .. key_digest,
          counted_week .. ':' .. whole(math.max(0, tonumber(counted_chats) - chats)))
      end
    end
  end
  for id, part in string.gmatch(boosts, '(%d+):(%d+)') do
    redis.call('HINCRBY', account, 'b:' .. id, '-' .. part)
  end
  if credits > 0 then redis.call('HINCRBY', account, 'credits_spent', whole(-credits)) end
  return returned
end

local function read_hold(text)
  local week, allowance, boosts, credits, credit_chats, digest, chats, cost, at, key_id, meter =
    string.match(text, '^(%d+)|(%d+)|([^|]*)|(%d+)|(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d+)|(.*)$')
  return {week = tonumber(week), allowance = tonumber(allowance), boosts = boosts,
    credits = tonumber(credits), credit_chats = tonumber(credit_chats), digest = digest,
    chats = tonumber(chats), cost = tonumber(cost), at = at, key_id = key_id, meter = meter}
end

-- The week that counts: a clock that runs behind never reopens a week that has ended.
local function enter_week(account, stored_week, week)
  if stored_week >= week then return stored_week end
  redis.call('HSET', account, 'week', whole(week), 'used', '0')
  return week
end

-- Release holds that have run out. Answers how many it released.
local function release_expired(account, holds, current_week, now)
  local expired = redis.call('ZRANGEBYSCORE', holds, '-inf', now, 'LIMIT', 0, 1000)
  for _, id in ipairs(expired) do
    local text = redis.call('HGET', account, 'h:' .. id)
    if text then
      local hold = read_hold(text)
      give_back(account, current_week, hold.week, hold.allowance, hold.boosts, hold.credits,
        hold.digest, hold.chats)
      redis.call('HDEL', account, 'h:' .. id)
    end
    redis.call('ZREM', holds, id)
  end
  if #expired > 0 then redis.call('HINCRBY', account, 'holding', -#expired) end
  return #expired
end

-- check: decide one charge, whole or not at all, and record it.
--
-- KEYS  1 account hash   2 catalogue hash of the partition   3 charge stream of the partition
--       4 refusal counts of the partition   5 holds of the account
--       6 replay record (only when the caller named a request id)
-- ARGV  1 now (ms since 1970)   2 this week's number by the caller's clock   3 meter   4 units (0 looks)
--       5 handle   6 replay window (ms)   7 fingerprint of the request, but for the key
--       8 caller's address as 32 hex digits, or ""   9 hold until (ms since 1970), or 0 to charge
--       10 hold id   11… digests of the key, best first
--       (no digest: a look at the account itself, which units must be 0 for)
-- RETURNS {status, key id, plan, cap, used, boost left, credits left, credits per chat, week,
--          allowance taken, boosts taken "id:chats,…", credits taken, entry id or hold id, at (ms),
--          chats left by boost "id:chats,…" (a look only), key cap, key's chats this week,
--          digest that matched}
--       cap -1 is unlimited. Only the first element is sure to be there when the status is cold,
--       cold_catalogue, invalid_key, unknown_meter, conflict or too_many_holds.
-- WRITES only fields that no projection writes: week, used, credits_spent, b:<boost id>,
--       u:<key digest>, holding, h:<hold id>; the stream, refusal counts, holds, the replay record.

local account, catalogue, stream, refusals, holds, replay =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now, units, week = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[2])
local HOLDS_AT_MOST = 1000

local fields = {'epoch', 'plan', 'packs', 'suspended', 'credits', 'boosts', 'week', 'used',
  'credits_spent', 'holding'}
for i = 11, #ARGV do
  fields[#fields + 1] = 'k:' .. ARGV[i]
  fields[#fields + 1] = 'u:' .. ARGV[i]
end
local state = redis.call('HMGET', account, unpack(fields))
local epoch, plan, packs = state[1], state[2], state[3]
if not epoch then return {'cold'} end

local wanted = {'epoch', 'rate', 'meter:' .. ARGV[3], 'cap:' .. plan}
for pack in string.gmatch(packs, '[^,]+') do
  wanted[#wanted + 1] = 'cap:' .. plan .. ':' .. pack
end
local terms = redis.call('HMGET', catalogue, unpack(wanted))
if not terms[1] then return {'cold_catalogue'} end
if terms[1] ~= epoch then return {'cold'} end
if not terms[4] then return {'cold_catalogue'} end

-- The key: known, not revoked, not expired.
local key_id, key_digest, key_cap, key_scopes, key_addresses, key_counted = '0', '', -1, '', '', nil
if ARGV[11] then
  local record
  for i = 11, #ARGV do
    local at = 11 + (i - 11) * 2
    if state[at] and not record then
      record, key_digest, key_counted = state[at], ARGV[i], state[at + 1]
    end
  end
  if not record then return {'invalid_key'} end
  local key_state, expires, cap
  key_id, key_state, expires, cap, key_scopes, key_addresses =
    string.match(record, '^%d+|(%d+)|(%a+)|(%d*)|(%d*)|([^|]*)|([^|]*)$')
  if key_state ~= 'active' or (expires ~= '' and now >= tonumber(expires)) then
    return {'invalid_key'}
  end
  if cap ~= '' then key_cap = tonumber(cap) end
elseif units ~= 0 then
  return redis.error_reply('ERR a charge needs a key')
end

if not terms[3] then return {'unknown_meter'} end

if replay and units > 0 then
  local first = redis.call('GET', replay)
  if first then
    local answer = cjson.decode(first)
    if answer.fingerprint ~= ARGV[7] .. '|' .. key_id then return {'conflict'} end
    return answer.reply
  end
end

-- The week that counts: a clock that runs behind never reopens a week that has ended.
local stored_week = tonumber(state[7] or '-1')
local used, credits_spent = tonumber(state[8] or '0'), tonumber(state[9] or '0')
if tonumber(state[10] or '0') > 0 then
  week = enter_week(account, stored_week, week)
  stored_week = week
  if release_expired(account, holds, week, now) > 0 then
    key_counted = key_digest ~= '' and redis.call('HGET', account, 'u:' .. key_digest)
  end
  local counted = redis.call('HMGET', account, 'used', 'credits_spent')
  used, credits_spent = tonumber(counted[1] or '0'), tonumber(counted[2] or '0')
end
if stored_week < week then used = 0 else week = stored_week end
local key_used = 0
if key_counted then
  local counted_week, counted_chats = string.match(key_counted, '^(%d+):(%d+)$')
  if tonumber(counted_week) == week then key_used = tonumber(counted_chats) end
end

-- What may be used, by source.
local cap = tonumber(terms[4])
for i = 5, #wanted do
  local lifted = tonumber(terms[i] or '')
  if lifted and cap >= 0 and (lifted < 0 or lifted > cap) then cap = lifted end
end
local boosts, boost_left = {}, 0
if state[6] ~= '' then
  for id, chats, expires in string.gmatch(state[6], '(%d+),(%d+),(%d+)') do
    if tonumber(expires) > now then
      boosts[#boosts + 1] = {id = id, left = tonumber(chats)}
    end
  end
end
if #boosts > 0 then
  local spent_fields = {}
  for i, boost in ipairs(boosts) do spent_fields[i] = 'b:' .. boost.id end
  for i, spent in ipairs(redis.call('HMGET', account, unpack(spent_fields))) do
    boosts[i].left = math.max(0, boosts[i].left - tonumber(spent or '0'))
    boost_left = boost_left + boosts[i].left
  end
end
local rate = tonumber(terms[2])
local credits_left = tonumber(state[5]) - credits_spent

local function reply(status, allowance, boosts_taken, credits_taken, entry_id)
  local left_by_boost = {}
  if units == 0 then
    for i, boost in ipairs(boosts) do left_by_boost[i] = boost.id .. ':' .. whole(boost.left) end
  end
  return {status, key_id, plan, cap, used, boost_left, credits_left, rate, week, allowance,
    boosts_taken, credits_taken, entry_id, now, table.concat(left_by_boost, ','), key_cap, key_used,
    key_digest}
end

-- A refusal is counted by hour and reason, so that a client in a loop cannot fill the memory.
local function refuse(status)
  if units > 0 then
    redis.call('HINCRBY', refusals,
      ARGV[5] .. '|' .. key_id .. '|' .. whole(math.floor(now / 3600000)) .. '|' .. status, 1)
  end
  return reply(status, 0, '', 0, '')
end

local function within(network)
  local prefix, bits = string.match(network, '^(%x+)/(%d+)$')
  bits = tonumber(bits)
  local digits = math.floor(bits / 4)
  if string.sub(prefix, 1, digits) ~= string.sub(ARGV[8], 1, digits) then return false end
  local rest = bits % 4
  if rest == 0 then return true end
  local step = 2 ^ (4 - rest)
  local ours = tonumber(string.sub(ARGV[8], digits + 1, digits + 1), 16)
  local theirs = tonumber(string.sub(prefix, digits + 1, digits + 1), 16)
  return math.floor(ours / step) == math.floor(theirs / step)
end

if state[4] == '1' then return refuse('suspended') end
if key_scopes ~= '' and units > 0
  and not string.find(',' .. key_scopes .. ',', ',' .. ARGV[3] .. ',', 1, true) then
  return refuse('not_permitted')
end
if key_addresses ~= '' then
  local allowed = false
  if ARGV[8] ~= '' then
    for network in string.gmatch(key_addresses, '[^,]+') do allowed = allowed or within(network) end
  end
  if not allowed then return refuse('not_permitted') end
end

-- allowance -> boosts by expiry -> credits: split over them, or refused whole.
local cost = tonumber(terms[3])
local wanted_chats = units * cost
if key_cap >= 0 and wanted_chats > 0 and key_used + wanted_chats > key_cap then
  return refuse('key_cap_reached')
end
local from_allowance = wanted_chats
if cap >= 0 then from_allowance = math.min(wanted_chats, math.max(0, cap - used)) end
local from_boosts = math.min(wanted_chats - from_allowance, boost_left)
local from_credits = wanted_chats - from_allowance - from_boosts
local credits_taken = from_credits * rate

if from_credits > 0 and credits_taken > credits_left then return refuse('quota_exhausted') end
if units == 0 then return reply('ok', 0, '', 0, '') end
local hold_until = tonumber(ARGV[9])
if hold_until > 0 and tonumber(state[10] or '0') >= HOLDS_AT_MOST then
  return {'too_many_holds'}
end

local taken, missing = {}, from_boosts
for _, boost in ipairs(boosts) do
  if missing == 0 then break end
  local part = math.min(missing, boost.left)
  if part > 0 then
    redis.call('HINCRBY', account, 'b:' .. boost.id, whole(part))
    taken[#taken + 1] = boost.id .. ':' .. whole(part)
    missing = missing - part
  end
end
used = used + from_allowance
key_used = key_used + wanted_chats
boost_left = boost_left - from_boosts
credits_left = credits_left - credits_taken
redis.call('HSET', account, 'week', whole(week), 'used', whole(used),
  'u:' .. key_digest, whole(week) .. ':' .. whole(key_used))
if credits_taken > 0 then
  redis.call('HINCRBY', account, 'credits_spent', whole(credits_taken))
end

local boosts_taken = table.concat(taken, ',')
local entry_id
if hold_until > 0 then
  entry_id = ARGV[10]
  redis.call('ZADD', holds, hold_until, entry_id)
  redis.call('HSET', account, 'h:' .. entry_id, table.concat({whole(week), whole(from_allowance),
    boosts_taken, whole(credits_taken), whole(from_credits), key_digest, whole(wanted_chats),
    whole(cost), ARGV[1], key_id, ARGV[3]}, '|'))
  redis.call('HINCRBY', account, 'holding', 1)
else
  -- One packed field: an entry is written for every charge and waits in memory until it is drained.
  entry_id = redis.call('XADD', stream, '*', 'e', table.concat({
    ARGV[5], key_id, ARGV[3], whole(week), whole(from_allowance),
    boosts_taken, whole(from_credits), whole(credits_taken), ARGV[1]}, '|'))
end

local answer = reply('ok', from_allowance, boosts_taken, credits_taken, entry_id)
if replay then
  redis.call('SET', replay, cjson.encode({fingerprint = ARGV[7] .. '|' .. key_id, reply = answer}), 'PX', ARGV[6])
end
return answer
