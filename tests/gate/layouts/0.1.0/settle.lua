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

-- settle: keep part of a hold, give the rest back.
--
-- KEYS  1 account hash   2 catalogue hash   3 charge stream   4 mark of the hold   5 holds of the account
-- ARGV  1 handle   2 hold id   3 units to keep   4 how long the mark stays (ms)
--       5 now's week by the caller's clock   6 now (ms)
-- RETURNS {status, allowance, boosts "id:chats,…", credits kept, chats that credits paid}:
--       ok | already (settled the same before) | conflict (settled otherwise, or refunded)
--       | gone (ran out, or never was) | too_much (more than was held) | cold | cold_catalogue
--       Kept is taken in the burn order: allowance, boosts, credits last.
-- WRITES what check writes, the mark ("settled|…") and the stream entry of what was kept.

local account, catalogue, stream, mark, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local state = redis.call('HMGET', account, 'epoch', 'week')
if not state[1] then return {'cold'} end
local epoch = redis.call('HGET', catalogue, 'epoch')
if not epoch then return {'cold_catalogue'} end
if epoch ~= state[1] then return {'cold'} end

local units = tonumber(ARGV[3])
local before = redis.call('GET', mark)
if before then
  local kind, a, b, c, d, kept_units =
    string.match(before, '^(%a+)|(%d+)|([^|]*)|(%d+)|(%d+)|?(%d*)$')
  if kind == 'settled' and tonumber(kept_units) == units then
    return {'already', tonumber(a), b, tonumber(c), tonumber(d)}
  end
  return {'conflict'}
end

local week = enter_week(account, tonumber(state[2] or '-1'), tonumber(ARGV[5]))
release_expired(account, holds, week, tonumber(ARGV[6]))
local text = redis.call('HGET', account, 'h:' .. ARGV[2])
if not text then return {'gone'} end
local hold = read_hold(text)
local kept = units * hold.cost
if kept > hold.chats then return {'too_much'} end

local missing = kept
local allowance = math.min(missing, hold.allowance)
missing = missing - allowance
local kept_boosts, returned_boosts = {}, {}
for id, chats in string.gmatch(hold.boosts, '(%d+):(%d+)') do
  local part = math.min(missing, tonumber(chats))
  missing = missing - part
  if part > 0 then kept_boosts[#kept_boosts + 1] = id .. ':' .. whole(part) end
  local rest = tonumber(chats) - part
  if rest > 0 then returned_boosts[#returned_boosts + 1] = id .. ':' .. whole(rest) end
end
local credit_chats = missing
local credits = 0
if credit_chats > 0 then credits = credit_chats * hold.credits / hold.credit_chats end

give_back(account, week, hold.week, hold.allowance - allowance, table.concat(returned_boosts, ','),
  hold.credits - credits, hold.digest, hold.chats - kept)
redis.call('HDEL', account, 'h:' .. ARGV[2])
redis.call('ZREM', holds, ARGV[2])
redis.call('HINCRBY', account, 'holding', -1)

local boosts = table.concat(kept_boosts, ',')
local content = table.concat(
  {'settled', whole(allowance), boosts, whole(credits), whole(credit_chats), whole(units)}, '|')
redis.call('SET', mark, content, 'PX', ARGV[4])
if kept > 0 then
  redis.call('XADD', stream, '*', 'e', table.concat({ARGV[1], hold.key_id, hold.meter,
    whole(hold.week), whole(allowance), boosts, whole(credit_chats), whole(credits), hold.at}, '|'),
    'm', ARGV[2] .. '|' .. content)
end
return {'ok', allowance, boosts, credits, credit_chats}
