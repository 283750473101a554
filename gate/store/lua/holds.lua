-- holds: shared by the scripts that must not count holds which have run out. Loaded before them.
--
-- A hold is taken like a charge, but it is written to the stream only when it is settled. It stands
-- in the sorted set of the account's holds (score: when it runs out, ms) and in the account's field
-- h:<hold id> = "week|allowance|boosts|credits|credit chats|key digest|key week chats|cost|at|key id|meter".

-- 1970-01-05 was a Monday.
local FIRST_MONDAY_MS, WEEK_MS = 4 * 24 * 3600 * 1000, 7 * 24 * 3600 * 1000

local function whole(number) return string.format('%.0f', number) end

-- The time that counts (ms since 1970), and its week. It is the server's: no caller's clock decides
-- when a hold runs out, a boost or key ends or a week begins. A time is told by tests alone.
local function clock(told)
  local now = tonumber(told)
  if now == 0 then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  return now, math.floor((now - FIRST_MONDAY_MS) / WEEK_MS)
end

-- The end of a week (ms since 1970).
local function week_ends(week) return (week + 1) * WEEK_MS + FIRST_MONDAY_MS end

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

-- The week that counts. One that has ended is never reopened, though a server that takes over may
-- have a clock that runs behind.
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
