-- check: decide one charge, whole or not at all, and record it.
--
-- KEYS  1 account hash   2 catalogue hash of the partition   3 charge stream of the partition
--       4 refusal counts of the partition   5 holds of the account
--       6 replay record   7 the same as release 0.1.0 named it, only read
--       (both only when the caller named a request id, 7 not always)
-- ARGV  1 now (ms since 1970) as told, or 0 for the server's clock   2 meter   3 units (0 looks)
--       4 handle   5 replay window (ms)   6 fingerprint of the request, but for the key
--       7 caller's address as 32 hex digits, or ""   8 hold for (ms), or 0 to charge
--       9 hold id   10… digests of the key, best first
--       (no digest: a look at the account itself, which units must be 0 for)
-- RETURNS {status, key id, plan, cap, used, boost left, credits left, credits per chat, week,
--          allowance taken, boosts taken "id:chats,…", credits taken, entry id or hold id, at (ms),
--          chats left by boost "id:chats,…" (a look only), key cap, key's chats this week,
--          digest that matched, chats wanted}
--       cap -1 is unlimited. Only the first element is sure to be there when the status is cold,
--       cold_catalogue, invalid_key, unknown_meter, conflict or too_many_holds.
--       Not enough is key_cap_reached or quota_exhausted where the same request may pass after the
--       week, above_key_cap or above_plan_cap where it may not.
-- WRITES only fields that no projection writes: week, used, credits_spent, b:<boost id>,
--       u:<key digest>, holding, h:<hold id>; the stream, refusal counts, holds, the replay record.

local account, catalogue, stream, refusals, holds, replay =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now, week = clock(ARGV[1])
local units, hold_ms = tonumber(ARGV[3]), tonumber(ARGV[8])
local HOLDS_AT_MOST = 1000

local fields = {'epoch', 'plan', 'packs', 'suspended', 'credits', 'boosts', 'week', 'used',
  'credits_spent', 'holding'}
for i = 10, #ARGV do
  fields[#fields + 1] = 'k:' .. ARGV[i]
  fields[#fields + 1] = 'u:' .. ARGV[i]
end
local state = redis.call('HMGET', account, unpack(fields))
local epoch, plan, packs = state[1], state[2], state[3]
if not epoch then return {'cold'} end

local wanted = {'epoch', 'rate', 'meter:' .. ARGV[2], 'cap:' .. plan}
for pack in string.gmatch(packs, '[^,]+') do
  wanted[#wanted + 1] = 'cap:' .. plan .. ':' .. pack
end
local terms = redis.call('HMGET', catalogue, unpack(wanted))
if not terms[1] then return {'cold_catalogue'} end
if terms[1] ~= epoch then return {'cold'} end
if not terms[4] then return {'cold_catalogue'} end

-- The key: known, not revoked, not expired, asked for from where it may be used.
local key_id, key_digest, key_cap, key_scopes, key_addresses, key_counted = '0', '', -1, '', '', nil

-- A refusal is counted by hour and reason, so that a client in a loop cannot fill the memory.
local function count_refusal(reason)
  redis.call('HINCRBY', refusals,
    ARGV[4] .. '|' .. key_id .. '|' .. whole(math.floor(now / 3600000)) .. '|' .. reason, 1)
end

if ARGV[10] then
  local record
  for i = 10, #ARGV do
    local at = 11 + (i - 10) * 2
    if state[at] and not record then
      record, key_digest, key_counted = state[at], ARGV[i], state[at + 1]
    end
  end
  if not record then return {'invalid_key'} end
  local key_state, expires, cap
  key_id, key_state, expires, cap, key_scopes, key_addresses =
    string.match(record, '^%d+|(%d+)|(%a+)|(%d*)|(%d*)|([^|]*)|([^|]*)')
  if key_state ~= 'active' or (expires ~= '' and now >= tonumber(expires)) then
    return {'invalid_key'}
  end
  if key_addresses ~= '' then
    local address, is_here = ARGV[7], false
    local function within(network)
      local prefix, bits = string.match(network, '^(%x+)/(%d+)$')
      bits = tonumber(bits)
      local digits = math.floor(bits / 4)
      if string.sub(prefix, 1, digits) ~= string.sub(address, 1, digits) then return false end
      local rest = bits % 4
      if rest == 0 then return true end
      local step = 2 ^ (4 - rest)
      local ours = tonumber(string.sub(address, digits + 1, digits + 1), 16)
      local theirs = tonumber(string.sub(prefix, digits + 1, digits + 1), 16)
      return math.floor(ours / step) == math.floor(theirs / step)
    end
    if address ~= '' then
      for network in string.gmatch(key_addresses, '[^,]+') do is_here = is_here or within(network) end
    end
    -- Asked for from elsewhere the key is unknown, whatever else is asked. Its owner can see it.
    if not is_here then
      count_refusal('wrong_address')
      return {'invalid_key'}
    end
  end
  if cap ~= '' then key_cap = tonumber(cap) end
elseif units ~= 0 then
  return redis.error_reply('ERR a charge needs a key')
end

-- A look at the account is about no meter.
if not terms[3] and ARGV[10] then return {'unknown_meter'} end

if replay and units > 0 then
  local first = redis.call('GET', replay) or (KEYS[7] and redis.call('GET', KEYS[7]))
  if first then
    local answer = cjson.decode(first)
    if answer.fingerprint ~= ARGV[6] .. '|' .. key_id then return {'conflict'} end
    return answer.reply
  end
end

-- The week that counts: one that has ended is never reopened.
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
      boosts[#boosts + 1] = {id = id, left = tonumber(chats), ends = tonumber(expires)}
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
local cost = tonumber(terms[3] or '0')
local wanted_chats = units * cost
local credits_left = tonumber(state[5]) - credits_spent

local function reply(status, allowance, boosts_taken, credits_taken, entry_id)
  local left_by_boost = {}
  if units == 0 then
    for i, boost in ipairs(boosts) do left_by_boost[i] = boost.id .. ':' .. whole(boost.left) end
  end
  return {status, key_id, plan, cap, used, boost_left, credits_left, rate, week, allowance,
    boosts_taken, credits_taken, entry_id, now, table.concat(left_by_boost, ','), key_cap, key_used,
    key_digest, wanted_chats}
end

local function refuse(status)
  if units > 0 then count_refusal(status) end
  return reply(status, 0, '', 0, '')
end

-- What could be paid at the reset, if nothing else uses it: the allowance anew, boosts that live on,
-- credits.
local function is_payable_next_week()
  if cap < 0 then return true end
  local payable = cap + math.floor(math.max(0, credits_left) / rate)
  for _, boost in ipairs(boosts) do
    if boost.ends > week_ends(week) then payable = payable + boost.left end
  end
  return wanted_chats <= payable
end

if state[4] == '1' then return refuse('suspended') end
if key_scopes ~= '' and units > 0
  and not string.find(',' .. key_scopes .. ',', ',' .. ARGV[2] .. ',', 1, true) then
  return refuse('not_permitted')
end
-- allowance -> boosts by expiry -> credits: split over them, or refused whole.
if key_cap >= 0 and wanted_chats > 0 and key_used + wanted_chats > key_cap then
  if wanted_chats > key_cap then return refuse('above_key_cap') end
  return refuse(is_payable_next_week() and 'key_cap_reached' or 'above_plan_cap')
end
local from_allowance = wanted_chats
if cap >= 0 then from_allowance = math.min(wanted_chats, math.max(0, cap - used)) end
local from_boosts = math.min(wanted_chats - from_allowance, boost_left)
local from_credits = wanted_chats - from_allowance - from_boosts
local credits_taken = from_credits * rate

if from_credits > 0 and credits_taken > credits_left then
  return refuse(is_payable_next_week() and 'quota_exhausted' or 'above_plan_cap')
end
if units == 0 then return reply('ok', 0, '', 0, '') end
if hold_ms > 0 and tonumber(state[10] or '0') >= HOLDS_AT_MOST then
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
if hold_ms > 0 then
  entry_id = ARGV[9]
  redis.call('ZADD', holds, whole(now + hold_ms), entry_id)
  redis.call('HSET', account, 'h:' .. entry_id, table.concat({whole(week), whole(from_allowance),
    boosts_taken, whole(credits_taken), whole(from_credits), key_digest, whole(wanted_chats),
    whole(cost), whole(now), key_id, ARGV[2]}, '|'))
  redis.call('HINCRBY', account, 'holding', 1)
else
  -- One packed field: an entry is written for every charge and waits in memory until it is drained.
  entry_id = redis.call('XADD', stream, '*', 'e', table.concat({
    ARGV[4], key_id, ARGV[2], whole(week), whole(from_allowance),
    boosts_taken, whole(from_credits), whole(credits_taken), whole(now)}, '|'))
end

local answer = reply('ok', from_allowance, boosts_taken, credits_taken, entry_id)
if replay then
  redis.call('SET', replay, cjson.encode({fingerprint = ARGV[6] .. '|' .. key_id, reply = answer}), 'PX', ARGV[5])
end
return answer
