-- refund: give back exactly what one charge took, to where it came from, once.
--
-- KEYS  1 account hash   2 catalogue hash   3 charge stream   4 mark of the charge
--       5 holds of the account
-- ARGV  1 handle   2 key id   3 meter   4 at (ms) of the charge   5 week of the charge
--       6 allowance taken   7 boosts taken "id:chats,…"   8 credits taken   9 how long the mark stays (ms)
--       10 now (ms) as told, or 0 for the server's clock   11 chats that credits paid
--       12 entry id or hold id   13 digest of the key, or ""   14 1 when the charge is a hold
-- RETURNS {status, allowance, boost chats, credits given back}: ok | already | cold | cold_catalogue
--       | too_late (the charge is older than its mark would stay)
--       An allowance chat of a week that has ended is gone: 0 is given back.
-- WRITES what check writes, the mark ("refunded|…") and a negative stream entry with the mark.

local account, catalogue, stream, mark, holds = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local state = redis.call('HMGET', account, 'epoch', 'week')
if not state[1] then return {'cold'} end
local epoch = redis.call('HGET', catalogue, 'epoch')
if not epoch then return {'cold_catalogue'} end
if epoch ~= state[1] then return {'cold'} end

local now, now_week = clock(ARGV[10])
if now - tonumber(ARGV[4]) > tonumber(ARGV[9]) then return {'too_late'} end

local allowance, boosts, credits, credit_chats =
  tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[11])
local week = enter_week(account, tonumber(state[2] or '-1'), now_week)
local in_stream = true

local before = redis.call('GET', mark)
if before then
  local kind, rest = string.match(before, '^(%a+)|(.*)$')
  local a, b, c, d = string.match(rest, '^(%d+)|([^|]*)|(%d+)|(%d+)')
  if kind == 'refunded' then return {'already', tonumber(a), b, tonumber(c)} end
  -- A settled hold: what was kept is what can be given back.
  allowance, boosts, credits, credit_chats = tonumber(a), b, tonumber(c), tonumber(d)
elseif ARGV[14] == '1' then
  release_expired(account, holds, week, now)
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
