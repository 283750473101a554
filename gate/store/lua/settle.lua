-- settle: keep part of a hold, give the rest back.
--
-- KEYS  1 account hash   2 catalogue hash   3 charge stream   4 mark of the hold   5 holds of the account
-- ARGV  1 handle   2 hold id   3 units to keep   4 how long the mark stays (ms)
--       5 now (ms) as told, or 0 for the server's clock
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

local now, now_week = clock(ARGV[5])
local week = enter_week(account, tonumber(state[2] or '-1'), now_week)
release_expired(account, holds, week, now)
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
