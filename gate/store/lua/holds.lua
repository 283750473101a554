-- holds: shared by the scripts that must not count holds which have run out. Loaded before them.
--
-- A hold is taken like a charge, but it is written to the stream only when it is settled. It stands
-- in the sorted set of the account's holds (score: when it runs out, ms) and, as a hold, in the
-- account's field h:<hold id>.

-- What an account or key spent in a week and a month, credits, and the month that counts: one that
-- has ended is never reopened, as a week is not.
local function read_paid(account, field, week, month)
  local paid_week, paid_in_week, paid_month, paid_in_month =
    MATCH.paid(redis.call('HGET', account, field) or '')
  if not paid_week then return 0, 0, month end
  month = math.max(month, tonumber(paid_month))
  return tonumber(paid_week) == week and tonumber(paid_in_week) or 0,
    tonumber(paid_month) == month and tonumber(paid_in_month) or 0, month
end

-- Credits were spent, by an account or key.
local function count_paid(account, field, week, month, credits)
  local in_week, in_month, counts = read_paid(account, field, week, month)
  redis.call('HSET', account, field, TEXT.paid{week = whole(week),
    in_week = whole(in_week + credits), month = whole(counts),
    in_month = whole(in_month + credits)})
end

-- Credits came back: to the week and the month that they were spent in, if those still count.
local function uncount_paid(account, field, week, month, credits)
  local paid_week, paid_in_week, paid_month, paid_in_month =
    MATCH.paid(redis.call('HGET', account, field) or '')
  if not paid_week then return end
  if tonumber(paid_week) == week then
    paid_in_week = whole(math.max(0, tonumber(paid_in_week) - credits))
  end
  if tonumber(paid_month) == month then
    paid_in_month = whole(math.max(0, tonumber(paid_in_month) - credits))
  end
  redis.call('HSET', account, field, TEXT.paid{week = paid_week, in_week = paid_in_week,
    month = paid_month, in_month = paid_in_month})
end

-- Give parts of a charge back to where they came from. Answers the allowance chats given back:
-- those of a week that has ended are gone.
local function give_back(account, current_week, charge_week, charged_ms, allowance, boosts, credits,
  key_digest, chats, key_id)
  local returned = 0
  if chats > 0 then uncount_chats(account, key_id, charge_week, tonumber(charged_ms), chats) end
  if charge_week == current_week then
    if allowance > 0 then
      returned = allowance
      redis.call('HINCRBY', account, ACCOUNT.used, whole(-allowance))
    end
    if key_digest ~= '' and chats > 0 then
      local counted = redis.call('HGET', account, ACCOUNT.counted .. key_digest)
      local counted_week, counted_chats = MATCH.counted(counted or '')
      if tonumber(counted_week) == charge_week then
        redis.call('HSET', account, ACCOUNT.counted .. key_digest, TEXT.counted{week = counted_week,
          chats = whole(math.max(0, tonumber(counted_chats) - chats))})
      end
    end
  end
  for taken_id, taken_chats in EACH.taken(boosts) do
    redis.call('HINCRBY', account, ACCOUNT.spent_of_boost .. taken_id, '-' .. taken_chats)
  end
  if credits > 0 then
    redis.call('HINCRBY', account, ACCOUNT.credits_spent, whole(-credits))
    local month = month_of(tonumber(charged_ms))
    uncount_paid(account, ACCOUNT.paid, charge_week, month, credits)
    if key_digest ~= '' then
      uncount_paid(account, ACCOUNT.paid_by_key .. key_digest, charge_week, month, credits)
    end
  end
  return returned
end

local function read_hold(text)
  local hold_week, hold_allowance, hold_boosts, hold_credits, hold_credit_chats, hold_digest,
    hold_chats, hold_cost, hold_at_ms, hold_key_id, hold_meter = MATCH.hold(text)
  return {week = tonumber(hold_week), allowance = tonumber(hold_allowance), boosts = hold_boosts,
    credits = tonumber(hold_credits), credit_chats = tonumber(hold_credit_chats),
    digest = hold_digest, chats = tonumber(hold_chats), cost = tonumber(hold_cost),
    at_ms = hold_at_ms, key_id = hold_key_id, meter = hold_meter}
end

-- The week that counts. One that has ended is never reopened, though a server that takes over may
-- have a clock that runs behind.
local function enter_week(account, stored_week, week)
  if stored_week >= week then return stored_week end
  redis.call('HSET', account, ACCOUNT.week, whole(week), ACCOUNT.used, '0')
  return week
end

-- Release holds that have run out. Answers how many it released.
local function release_expired(account, holds, current_week, now)
  local expired = redis.call('ZRANGEBYSCORE', holds, '-inf', now, 'LIMIT', 0, 1000)
  for _, id in ipairs(expired) do
    local text = redis.call('HGET', account, ACCOUNT.hold .. id)
    if text then
      local hold = read_hold(text)
      give_back(account, current_week, hold.week, hold.at_ms, hold.allowance, hold.boosts,
        hold.credits, hold.digest, hold.chats, hold.key_id)
      redis.call('HDEL', account, ACCOUNT.hold .. id)
    end
    redis.call('ZREM', holds, id)
  end
  if #expired > 0 then redis.call('HINCRBY', account, ACCOUNT.holding, -#expired) end
  return #expired
end
