-- put_key: write one key's state, if it is newer than what is there.
--
-- KEYS  1 account hash   2 catalogue hash
-- ARGV  1 digest   2 record, version first   3 how long to remember it if the account is cold (ms)
--       4 pushes that PostgreSQL knows of
-- RETURNS {stored | older, pushes}
-- For a cold account the record is kept all the same: a snapshot that was read before the change
-- and arrives after it must not bring a revoked key back.

local field = 'k:' .. ARGV[1]
local known = redis.call('HGET', KEYS[1], field)
if known and tonumber(string.match(known, '^%d+')) >= tonumber(string.match(ARGV[2], '^%d+')) then
  return {'older', tonumber(redis.call('HGET', KEYS[2], 'pushes') or '0')}
end
redis.call('HSET', KEYS[1], field, ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'epoch') == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
-- An older copy of Valkey stays recognisable by what it lacks until its epoch is raised.
local pushes = tonumber(redis.call('HGET', KEYS[2], 'pushes') or '0')
if pushes < tonumber(ARGV[4]) then return {'stored', pushes} end
return {'stored', redis.call('HINCRBY', KEYS[2], 'pushes', 1)}
