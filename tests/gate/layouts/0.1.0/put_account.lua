-- put_account: write what PostgreSQL grants to an account; seed what was spent if the account is cold.
--
-- KEYS  1 account hash   2 catalogue hash   3 holds of the account   4… marks of recent charges
-- ARGV  1 snapshot as JSON, every leaf a string:
--         {seed (1: it knows all that was spent), epoch, pushes (that PostgreSQL knows of), version, plan, packs, suspended, credits, boosts, week, used, credits_spent,
--          boosts_spent: {id: chats}, keys: {digest: record}, keys_used: {digest: "week:chats"}}
--       2 how long a mark stays (ms)   3… contents of the marks, in the order of their keys
-- RETURNS {stored | cold_catalogue | stale_epoch (the snapshot must be read again)
--         | cold (the account is cold and the snapshot does not seed), pushes}
-- A snapshot may arrive twice, late or out of order: of the limits and of each key the highest
-- version stays, and spent counters of a warm account are never touched.

local account, catalogue, holds = KEYS[1], KEYS[2], KEYS[3]
local snapshot = cjson.decode(ARGV[1])
local epoch = redis.call('HGET', catalogue, 'epoch')
if not epoch then return {'cold_catalogue', 0} end
if epoch ~= snapshot.epoch then return {'stale_epoch', 0} end

local stored = redis.call('HMGET', account, 'epoch', 'version')
local warm = stored[1] == epoch
if not warm and snapshot.seed == '0' then return {'cold', 0} end

if not warm then
  -- Counters of an older epoch are worth nothing; key records stay, for a revocation may have
  -- overtaken this snapshot.
  for _, field in ipairs(redis.call('HKEYS', account)) do
    if string.sub(field, 1, 2) ~= 'k:' then redis.call('HDEL', account, field) end
  end
  redis.call('DEL', holds)
  redis.call('HSET', account, 'week', snapshot.week, 'used', snapshot.used,
    'credits_spent', snapshot.credits_spent)
  for id, chats in pairs(snapshot.boosts_spent) do
    redis.call('HSET', account, 'b:' .. id, chats)
  end
  for digest, counted in pairs(snapshot.keys_used) do
    redis.call('HSET', account, 'u:' .. digest, counted)
  end
  for i = 4, #KEYS do redis.call('SET', KEYS[i], ARGV[i - 1], 'PX', ARGV[2], 'NX') end
  redis.call('PERSIST', account)
end

if not warm or tonumber(stored[2]) < tonumber(snapshot.version) then
  redis.call('HSET', account, 'epoch', epoch, 'version', snapshot.version, 'plan', snapshot.plan,
    'packs', snapshot.packs, 'suspended', snapshot.suspended, 'credits', snapshot.credits,
    'boosts', snapshot.boosts)
end

for digest, record in pairs(snapshot.keys) do
  local known = redis.call('HGET', account, 'k:' .. digest)
  local known_version = known and tonumber(string.match(known, '^%d+')) or -1
  if known_version < tonumber(string.match(record, '^%d+')) then
    redis.call('HSET', account, 'k:' .. digest, record)
  end
end
-- An older copy of Valkey stays recognisable by what it lacks until its epoch is raised.
local pushes = tonumber(redis.call('HGET', catalogue, 'pushes') or '0')
if pushes < tonumber(snapshot.pushes) then return {'stored', pushes} end
return {'stored', redis.call('HINCRBY', catalogue, 'pushes', 1)}
