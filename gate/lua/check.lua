-- check: decide one charge, whole or not at all, and record it.
--
-- KEYS  1 account hash   2 catalogue hash of the partition   3 charge stream of the partition
--       4 replay record (only when the caller named a request id)
-- ARGV  1 now (ms since 1970)   2 this week's number by the caller's clock   3 meter   4 units (0 looks)
--       5 handle   6 replay window (ms)   7 fingerprint of the request   8… digests of the key, best first
--       (no digest: a look at the account itself, which units must be 0 for)
-- RETURNS {status, key id, plan, cap, used, boost left, credits left, credits per chat, week,
--          allowance taken, boosts taken "id:chats,…", credits taken, entry id, at (ms),
--          chats left by boost "id:chats,…" (a look only)}
--       cap -1 is unlimited. Chats left in all are the caller's sum. Only the first element is sure
--       to be there when status is cold, cold_catalogue, invalid_key, unknown_meter or conflict.
-- WRITES only fields that no projection writes: week, used, credits_spent, b:<boost id>.

local account, catalogue, stream, replay = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local now, units = tonumber(ARGV[1]), tonumber(ARGV[4])
local week = tonumber(ARGV[2])

local state = redis.call('HMGET', account,
  'epoch', 'plan', 'packs', 'suspended', 'credits', 'boosts', 'week', 'used', 'credits_spent')
local epoch, plan, packs, suspended = state[1], state[2], state[3], state[4]
if not epoch then return {'cold'} end

local wanted = {'epoch', 'rate', 'meter:' .. ARGV[3], 'cap:' .. plan}
for pack in string.gmatch(packs, '[^,]+') do
  wanted[#wanted + 1] = 'cap:' .. plan .. ':' .. pack
end
local terms = redis.call('HMGET', catalogue, unpack(wanted))
if not terms[1] then return {'cold_catalogue'} end
if terms[1] ~= epoch then return {'cold'} end
if not terms[4] then return {'cold_catalogue'} end

local key_id = '0'
if ARGV[8] then
  local fields = {}
  for i = 8, #ARGV do fields[#fields + 1] = 'k:' .. ARGV[i] end
  local found
  for _, record in ipairs(redis.call('HMGET', account, unpack(fields))) do
    found = found or record
  end
  if not found then return {'invalid_key'} end
  local key_state
  key_id, key_state = string.match(found, '^%d+|(%d+)|(%a+)')
  if key_state ~= 'active' then return {'invalid_key'} end
elseif units ~= 0 then
  return redis.error_reply('ERR a charge needs a key')
end

if not terms[3] then return {'unknown_meter'} end

if replay and units > 0 then
  local first = redis.call('GET', replay)
  if first then
    local answer = cjson.decode(first)
    if answer.fingerprint ~= ARGV[7] then return {'conflict'} end
    return answer.reply
  end
end

-- What may be used, by source.
local cap = tonumber(terms[4])
for i = 5, #wanted do
  local lifted = tonumber(terms[i] or '')
  if lifted and cap >= 0 and (lifted < 0 or lifted > cap) then cap = lifted end
end

-- A clock that runs behind never reopens a week that has ended.
local stored_week = tonumber(state[7] or '-1')
local used = tonumber(state[8] or '0')
if stored_week < week then used = 0 else week = stored_week end

local boosts, boost_left = {}, 0
for id, chats, expires in string.gmatch(state[6], '(%d+),(%d+),(%d+)') do
  if tonumber(expires) > now then
    boosts[#boosts + 1] = {id = id, left = tonumber(chats)}
  end
end
if #boosts > 0 then
  local fields = {}
  for i, boost in ipairs(boosts) do fields[i] = 'b:' .. boost.id end
  for i, spent in ipairs(redis.call('HMGET', account, unpack(fields))) do
    boosts[i].left = math.max(0, boosts[i].left - tonumber(spent or '0'))
    boost_left = boost_left + boosts[i].left
  end
end

local rate = tonumber(terms[2])
local credits_left = tonumber(state[5]) - tonumber(state[9] or '0')

local function reply(status, allowance, boosts_taken, credits_taken, entry_id)
  local left_by_boost = {}
  if units == 0 then
    for i, boost in ipairs(boosts) do
      left_by_boost[i] = boost.id .. ':' .. string.format('%.0f', boost.left)
    end
  end
  return {status, key_id, plan, cap, used, boost_left, credits_left, rate, week,
    allowance, boosts_taken, credits_taken, entry_id, now, table.concat(left_by_boost, ',')}
end

if suspended == '1' then return reply('suspended', 0, '', 0, '') end

-- allowance -> boosts by expiry -> credits: split over them, or refused whole.
local wanted_chats = units * tonumber(terms[3])
local from_allowance = wanted_chats
if cap >= 0 then from_allowance = math.min(wanted_chats, math.max(0, cap - used)) end
local from_boosts = math.min(wanted_chats - from_allowance, boost_left)
local from_credits = wanted_chats - from_allowance - from_boosts
local credits_taken = from_credits * rate

if from_credits > 0 and credits_taken > credits_left then
  return reply('quota_exhausted', 0, '', 0, '')
end
if units == 0 then return reply('ok', 0, '', 0, '') end

local taken, missing = {}, from_boosts
for _, boost in ipairs(boosts) do
  if missing == 0 then break end
  local part = math.min(missing, boost.left)
  if part > 0 then
    redis.call('HINCRBY', account, 'b:' .. boost.id, string.format('%.0f', part))
    taken[#taken + 1] = boost.id .. ':' .. string.format('%.0f', part)
    missing = missing - part
  end
end
used = used + from_allowance
boost_left = boost_left - from_boosts
credits_left = credits_left - credits_taken
redis.call('HSET', account, 'week', string.format('%.0f', week), 'used', string.format('%.0f', used))
if credits_taken > 0 then
  redis.call('HINCRBY', account, 'credits_spent', string.format('%.0f', credits_taken))
end

local boosts_taken = table.concat(taken, ',')
-- One packed field: an entry is written for every charge and waits in memory until it is drained.
local entry_id = redis.call('XADD', stream, '*', 'e', table.concat({
  ARGV[5], key_id, ARGV[3], ARGV[1], string.format('%.0f', week), string.format('%.0f', from_allowance),
  boosts_taken, string.format('%.0f', from_credits), string.format('%.0f', credits_taken)}, '|'))

local answer = reply('ok', from_allowance, boosts_taken, credits_taken, entry_id)
if replay then
  redis.call('SET', replay, cjson.encode({fingerprint = ARGV[7], reply = answer}), 'PX', ARGV[6])
end
return answer
