-- put_key: write one key's state, if it is newer than what is there: of its secret, and of the one
-- before that where it has one.
--
-- Answers pushed: stored | older.
-- For a cold account the record is kept all the same: a snapshot that was read before the change
-- and arrives after it must not bring a revoked key back.

local account, catalogue = NAMES.account, NAMES.catalogue
local function version_of(record)
  local key_version = MATCH.key(record)
  return tonumber(key_version)
end
local known = redis.call('HGET', account, ACCOUNT.key .. ARGS.digest)
if known and version_of(known) >= version_of(ARGS.record) then
  local pushes = redis.call('HGET', catalogue, CATALOGUE.pushes)
  return PUSHED{status = OUTCOME.older, pushes = tonumber(pushes or '0')}
end
local function put(field, text)
  if text == '' then
    redis.call('HDEL', account, field)
  else
    redis.call('HSET', account, field, text)
  end
end
local function put_secret(digest, record)
  redis.call('HSET', account, ACCOUNT.key .. digest, record)
  put(ACCOUNT.spending_of_key .. digest, ARGS.spending)
  put(ACCOUNT.pace_of_key .. digest, ARGS.pace)
  put(ACCOUNT.rotated .. digest, ARGS.rotated)
  put(ACCOUNT.budget_of_key .. digest, ARGS.budget)
end
put_secret(ARGS.digest, ARGS.record)
-- Without a budget it is not counted; with another one, later, it is counted anew.
if ARGS.budget == '' then
  local key_version, key_id = MATCH.key(ARGS.record)
  redis.call('HDEL', account, ACCOUNT.amounts_of_key .. key_id)
end
if ARGS.former_digest ~= '' then put_secret(ARGS.former_digest, ARGS.former_record) end
if redis.call('HEXISTS', account, ACCOUNT.epoch) == 0 then
  redis.call('PEXPIRE', account, ARGS.remembered_ms)
end
-- An older copy of Valkey stays recognisable by what it lacks until its epoch is raised.
local pushes = tonumber(redis.call('HGET', catalogue, CATALOGUE.pushes) or '0')
if pushes >= tonumber(ARGS.pushes) then
  pushes = redis.call('HINCRBY', catalogue, CATALOGUE.pushes, 1)
end
return PUSHED{status = OUTCOME.stored, pushes = pushes}
