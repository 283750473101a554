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

-- refund: give back exactly what one charge took, to where it came from, once.
--
-- KEYS  1 account hash   2 catalogue hash   3 charge stream   4 mark of the charge
--       5 holds of the account
-- ARGV  1 handle   2 key id   3 meter   4 at (ms) of the charge   5 week of the charge
--       6 allowance taken   7 boosts taken "id:chats,…"   8 credits taken   9 how long the mark stays (ms)
--       10 now's week by the caller's clock   11 chats that credits paid   12 entry id or hold id
--       13 digest of the key, or ""   14 1 when the charge is a hold   15 now (ms)
-- RETURNS {status, allowance, boost chats, credits given back}: ok | already | cold | cold_catalogue
--       An allowance chat of a week that has ended is gone: 0 is given back.
-- WRITES what check writes, the mark ("refunded|…") and a negative stream entry with the mark.

local account, catalogue, stream, mark, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local state = redis.call('HMGET', account, 'epoch', 'week')
if not state[1] then return {'cold'} end
local epoch = redis.call('HGET', catalogue, 'epoch')
if not epoch then return {'cold_catalogue'} end
if epoch ~= state[1] then return {'cold'} end

local allowance, boosts, credits, credit_chats =
  tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[11])
local week = enter_week(account, tonumber(state[2] or '-1'), tonumber(ARGV[10]))
local in_stream = true

local before = redis.call('GET', mark)
if before then
  local kind, rest = string.match(before, '^(%a+)|(.*)$')
  local a, b, c, d = string.match(rest, '^(%d+)|([^|]*)|(%d+)|(%d+)')
  if kind == 'refunded' then return {'already', tonumber(a), b, tonumber(c)} end
  -- A settled hold: what was kept is what can be given back.
  allowance, boosts, credits, credit_chats = tonumber(a), b, tonumber(c), tonumber(d)
elseif ARGV[14] == '1' then
  release_expired(account, holds, week, tonumber(ARGV[15]))
  if redis.call('HDEL', account, 'h:' .. ARGV[12]) == 0 then return {'already', 0, '', 0} end
  redis.call('ZREM', holds, ARGV[12])
  redis.call('HINCRBY', account, 'holding', -1)
  in_stream = false
end

local boost_chats = 0
for _, chats in string.gmatch(boosts, '(%d+):(%d+)') do boost_chats = boost_chats + tonumber(chats) end
local returned = give_back(account, week, tonumber(ARGV[5]), allowance, boosts, credits, ARGV[13],
  allowance + boost_chats + credit_chats)

local content = table.concat({'refunded', whole(returned), boosts, whole(credits), whole(credit_chats)}, '|')
redis.call('SET', mark, content, 'PX', ARGV[9])
if in_stream then
  redis.call('XADD', stream, '*', 'e', table.concat({ARGV[1], ARGV[2], ARGV[3], ARGV[5],
    whole(-allowance), (string.gsub(boosts, ':', ':-')), whole(-credit_chats), whole(-credits),
    ARGV[4]}, '|'),
    'm', ARGV[12] .. '|' .. content)
end
return {'ok', returned, boosts, credits}
