-- refund: give back exactly what one charge took, to where it came from, once.
--
-- KEYS  1 account hash   2 catalogue hash   3 charge stream   4 mark "this charge was refunded"
-- ARGV  1 handle   2 key id   3 meter   4 at (ms) of the charge   5 week of the charge
--       6 allowance taken   7 boosts taken "id:chats,…"   8 credits taken   9 how long the mark stays (ms)
--       10 now's week by the caller's clock   11 chats that credits paid
-- RETURNS {status, allowance given back}: ok | already | cold | cold_catalogue
--       An allowance chat of a week that has ended is gone: 0 is given back.
-- WRITES used, credits_spent, b:<boost id> (as check does), the mark and a negative stream entry.

local account, catalogue, stream, mark = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local state = redis.call('HMGET', account, 'epoch', 'week', 'used')
if not state[1] then return {'cold'} end
local epoch = redis.call('HGET', catalogue, 'epoch')
if not epoch then return {'cold_catalogue'} end
if epoch ~= state[1] then return {'cold'} end

local before = redis.call('GET', mark)
if before then return {'already', tonumber(before)} end

local allowance, returned = tonumber(ARGV[6]), 0
local current_week = math.max(tonumber(ARGV[10]), tonumber(state[2] or '-1'))
if allowance > 0 and tonumber(ARGV[5]) == current_week then
  returned = math.min(allowance, tonumber(state[3] or '0'))
  redis.call('HINCRBY', account, 'used', string.format('%.0f', -returned))
end
local negated = {}
for id, chats in string.gmatch(ARGV[7], '(%d+):(%d+)') do
  redis.call('HINCRBY', account, 'b:' .. id, '-' .. chats)
  negated[#negated + 1] = id .. ':-' .. chats
end
if tonumber(ARGV[8]) > 0 then redis.call('HINCRBY', account, 'credits_spent', '-' .. ARGV[8]) end

redis.call('SET', mark, string.format('%.0f', returned), 'PX', ARGV[9])
redis.call('XADD', stream, '*', 'e', table.concat({ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5],
  '-' .. ARGV[6], table.concat(negated, ','), '-' .. ARGV[11], '-' .. ARGV[8]}, '|'))
return {'ok', returned}
