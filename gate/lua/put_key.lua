-- put_key: write one key's state, if it is newer than what is there.
--
-- KEYS  1 account hash
-- ARGV  1 digest   2 record "version|id|state"   3 how long to remember it if the account is cold (ms)
-- RETURNS stored | older
-- For a cold account the record is kept all the same: a snapshot that was read before the change
-- and arrives after it must not bring a revoked key back.

local field = 'k:' .. ARGV[1]
local known = redis.call('HGET', KEYS[1], field)
if known and tonumber(string.match(known, '^%d+')) >= tonumber(string.match(ARGV[2], '^%d+')) then
  return 'older'
end
redis.call('HSET', KEYS[1], field, ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 'stored'
