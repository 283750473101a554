-- check_rest: every check that is not plain, with what check has read.

local stream, refusals, holds = NAMES.stream, NAMES.refusals, NAMES.holds
local HOLDS_AT_MOST = 1000

-- A refusal is counted by hour and reason, so that a client in a loop cannot fill the memory.
local function count_refusal(reason)
  redis.call('HINCRBY', refusals,
    handle .. '|' .. key_id .. '|' .. whole(math.floor(now / 3600000)) .. '|' .. reason, 1)
end

-- The last ones of the account are kept one by one for its people, each in one of so many places,
-- apart from what passed: a client in a loop pushes out only refusals. Not in a list of their own,
-- because every check would pay for one more name.
local function keep_refusal(reason)
  if units == 0 then return end
  -- Of a meter that there is: any other is a text of the caller.
  local asked_for = cost and meter or ''
  local number = redis.call('HINCRBY', account, ACCOUNT.refused, 1)
  redis.call('HSET', account, ACCOUNT.refusal .. number % RECENT_AT_MOST,
    TEXT.refused{at_ms = whole(now), number = number, key_id = key_id, meter = asked_for,
      chats = whole(units * (cost or 0)), reason = reason, note = ARGS.note})
end

local function is_within(network, address)
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

-- The key: known, not revoked, not expired, asked for from where it may be used.
local key_cap, key_digest = -1, ''
if digest then
  if not record then return {REASON.invalid_key} end
  key_digest = digest
  if key_state ~= 'active' or (key_expires_ms ~= '' and now >= tonumber(key_expires_ms)) then
    keep_refusal(REASON.invalid_key)
    return {REASON.invalid_key}
  end
  if key_addresses ~= '' then
    local address, is_here = ARGS.address, false
    if address ~= '' then
      for network in string.gmatch(key_addresses, '[^,]+') do
        is_here = is_here or is_within(network, address)
      end
    end
    -- Asked for from elsewhere the key is unknown, whatever else is asked. Its owner can see it.
    if not is_here then
      count_refusal(REASON.wrong_address)
      keep_refusal(REASON.wrong_address)
      return {REASON.invalid_key}
    end
  end
  if key_weekly_cap ~= '' then key_cap = tonumber(key_weekly_cap) end
elseif units ~= 0 then
  return redis.error_reply('ERR a charge needs a key')
else
  key_id = '0'
end

-- A look at the account is about no meter.
if not cost and digest then return {REASON.unknown_meter} end

if replay and units > 0 then
  local first = redis.call('GET', replay)
    or (NAMES.replay_of_first_release and redis.call('GET', NAMES.replay_of_first_release))
  if first then
    local before = cjson.decode(first)
    if before.fingerprint ~= ARGS.fingerprint .. '|' .. key_id then return {OUTCOME.conflict} end
    return before.reply
  end
end

local held = tonumber(holding or 0)
if held > 0 then
  week = enter_week(account, stored_week, week)
  stored_week = week
  if release_expired(account, holds, week, now) > 0 then
    counted = digest and redis.call('HGET', account, ACCOUNT.counted .. digest)
  end
  local fresh = redis.call('HMGET', account, ACCOUNT.used, ACCOUNT.credits_spent)
  used, credits_spent = tonumber(fresh[1] or 0), tonumber(fresh[2] or 0)
end
if stored_week < week then used = 0 else week = stored_week end
local key_used = 0
if counted then
  local counted_week, counted_chats = MATCH.counted(counted)
  if tonumber(counted_week) == week then key_used = tonumber(counted_chats) end
end

-- What may be used, by source.
if lifted then
  for i = 5, #lifted do
    local by_pack = tonumber(lifted[i] or '')
    if by_pack and cap >= 0 and (by_pack < 0 or by_pack > cap) then cap = by_pack end
  end
end
local boosts, boost_left = {}, 0
for boost_id, boost_chats, boost_expires_ms in EACH.boost(boosts_text) do
  if tonumber(boost_expires_ms) > now then
    boosts[#boosts + 1] =
      {id = boost_id, left = tonumber(boost_chats), ends = tonumber(boost_expires_ms)}
  end
end
if #boosts > 0 then
  local spent_fields = {}
  for i, boost in ipairs(boosts) do spent_fields[i] = ACCOUNT.spent_of_boost .. boost.id end
  for i, spent in ipairs(redis.call('HMGET', account, unpack(spent_fields))) do
    boosts[i].left = math.max(0, boosts[i].left - tonumber(spent or '0'))
    boost_left = boost_left + boosts[i].left
  end
end
cost = tonumber(cost or 0)
local wanted_chats = units * cost
local credits_left = tonumber(credits) - credits_spent

local function answer_of(status, allowance, boosts_taken, credits_taken, entry_id)
  local left = {}
  if units == 0 then
    for i, boost in ipairs(boosts) do
      left[i] = TEXT.taken{id = boost.id, chats = whole(boost.left)}
    end
  end
  return ANSWER{status = status, key_id = key_id, plan = plan, cap = cap, used = used,
    boost_left = boost_left, credits_left = credits_left, credits_per_chat = rate, week = week,
    allowance_taken = allowance, boosts_taken = boosts_taken, credits_taken = credits_taken,
    entry_id = entry_id, at_ms = now, left_by_boost = table.concat(left, ','), key_cap = key_cap,
    key_used = key_used, key_digest = key_digest, wanted = wanted_chats,
    scopes = units == 0 and key_scopes or '', note = replay and ARGS.note or ''}
end

local function refuse(status)
  if units > 0 then
    count_refusal(status)
    keep_refusal(status)
  end
  return answer_of(status, 0, '', 0, '')
end

-- What could be paid at the reset, if nothing else uses it: the allowance anew, boosts that live
-- on, credits.
local function is_payable_next_week()
  if cap < 0 then return true end
  local payable = cap + math.floor(math.max(0, credits_left) / rate)
  for _, boost in ipairs(boosts) do
    if boost.ends > week_ends(week) then payable = payable + boost.left end
  end
  return wanted_chats <= payable
end

if suspended == '1' then return refuse(REASON.suspended) end
if digest and key_scopes ~= '' and units > 0
  and not string.find(',' .. key_scopes .. ',', ',' .. meter .. ',', 1, true) then
  return refuse(REASON.not_permitted)
end
-- allowance -> boosts by expiry -> credits: split over them, or refused whole.
if key_cap >= 0 and wanted_chats > 0 and key_used + wanted_chats > key_cap then
  if wanted_chats > key_cap then return refuse(REASON.above_key_cap) end
  return refuse(is_payable_next_week() and REASON.key_cap_reached or REASON.above_plan_cap)
end
local from_allowance = wanted_chats
if cap >= 0 then from_allowance = math.min(wanted_chats, math.max(0, cap - used)) end
local from_boosts = math.min(wanted_chats - from_allowance, boost_left)
local from_credits = wanted_chats - from_allowance - from_boosts
local credits_taken = from_credits * rate

if from_credits > 0 and credits_taken > credits_left then
  return refuse(is_payable_next_week() and REASON.quota_exhausted or REASON.above_plan_cap)
end
if units == 0 then return answer_of(REASON.ok, 0, '', 0, '') end
if hold_ms > 0 and held >= HOLDS_AT_MOST then
  keep_refusal(OUTCOME.too_many_holds)
  return {OUTCOME.too_many_holds}
end

local taken, missing = {}, from_boosts
for _, boost in ipairs(boosts) do
  if missing == 0 then break end
  local part = math.min(missing, boost.left)
  if part > 0 then
    redis.call('HINCRBY', account, ACCOUNT.spent_of_boost .. boost.id, whole(part))
    taken[#taken + 1] = TEXT.taken{id = boost.id, chats = whole(part)}
    missing = missing - part
  end
end
used = used + from_allowance
key_used = key_used + wanted_chats
boost_left = boost_left - from_boosts
credits_left = credits_left - credits_taken
redis.call('HSET', account, ACCOUNT.week, whole(week), ACCOUNT.used, whole(used),
  ACCOUNT.counted .. key_digest, TEXT.counted{week = whole(week), chats = whole(key_used)})
if credits_taken > 0 then
  redis.call('HINCRBY', account, ACCOUNT.credits_spent, whole(credits_taken))
end

local boosts_taken = table.concat(taken, ',')
local entry_id
if hold_ms > 0 then
  entry_id = ARGS.hold_id
  redis.call('ZADD', holds, whole(now + hold_ms), entry_id)
  redis.call('HSET', account, ACCOUNT.hold .. entry_id, TEXT.hold{week = whole(week),
    allowance = whole(from_allowance), boosts = boosts_taken, credits = whole(credits_taken),
    credit_chats = whole(from_credits), digest = key_digest, chats = whole(wanted_chats),
    cost = whole(cost), at_ms = whole(now), key_id = key_id, meter = meter})
  redis.call('HINCRBY', account, ACCOUNT.holding, 1)
else
  entry_id = redis.call('XADD', stream, '*', 'e', TEXT.entry{handle = handle, key_id = key_id,
    meter = meter, week = whole(week), allowance = whole(from_allowance), boosts = boosts_taken,
    credit_chats = whole(from_credits), credits = whole(credits_taken), at_ms = whole(now)},
    'n', ARGS.note)
end

local answer = answer_of(REASON.ok, from_allowance, boosts_taken, credits_taken, entry_id)
if replay then
  redis.call('SET', replay,
    cjson.encode({fingerprint = ARGS.fingerprint .. '|' .. key_id, reply = answer}),
    'PX', ARGS.replay_window_ms)
end
return answer
