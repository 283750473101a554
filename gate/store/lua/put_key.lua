-- put_key: write one key's state, if it is newer than what is there.
--
-- Answers pushed: stored | older.
-- For a cold account the record is kept all the same: a snapshot that was read before the change
-- and arrives after it must not bring a revoked key back.

local account, catalogue, field = NAMES.account, NAMES.catalogue, ACCOUNT.key .. ARGS.digest
local function version_of(record)
  local key_version = MATCH.key(record)
  return tonumber(key_version)
end
local known = redis.call('HGET', account, field)
if known and version_of(known) >= version_of(ARGS.record) then
  local pushes = redis.call('HGET', catalogue, CATALOGUE.pushes)
  return PUSHED{status = OUTCOME.older, pushes = tonumber(pushes or '0')}
end
redis.call('HSET', account, field, ARGS.record)
if ARGS.spending == '' then
  redis.call('HDEL', account, ACCOUNT.spending_of_key .. ARGS.digest)
else
  redis.call('HSET', account, ACCOUNT.spending_of_key .. ARGS.digest, ARGS.spending)
end
if ARGS.pace == '' then
  redis.call('HDEL', account, ACCOUNT.pace_of_key .. ARGS.digest)
else
  redis.call('HSET', account, ACCOUNT.pace_of_key .. ARGS.digest, ARGS.pace)
end
if redis.call('HEXISTS', account, ACCOUNT.epoch) == 0 then
  redis.call('PEXPIRE', account, ARGS.remembered_ms)
end
-- An older copy of Valkey stays recognisable by what it lacks until its epoch is raised.
local pushes = tonumber(redis.call('HGET', catalogue, CATALOGUE.pushes) or '0')
if pushes >= tonumber(ARGS.pushes) then
  pushes = redis.call('HINCRBY', catalogue, CATALOGUE.pushes, 1)
end
return PUSHED{status = OUTCOME.stored, pushes = pushes}
