-- put_account: write what PostgreSQL grants to an account; seed what was spent if it is cold.
--
-- The snapshot is JSON, every leaf a string: {seed (1: it knows all that was spent), epoch, pushes
-- (that PostgreSQL knows of), version, plan, plans, packs, suspended, credits, boosts, week, used,
-- credits_spent, boosts_spent: {id: chats}, keys: {digest: record}, keys_used: {digest: counted}}.
-- Marks of recent charges come in NAMES, their contents in the same order in ARGS.
-- Answers pushed: stored | cold_catalogue | stale_epoch (the snapshot must be read again)
-- | cold (the account is cold and the snapshot does not seed).
-- A snapshot may arrive twice, late or out of order: of the limits and of each key the highest
-- version stays, and spent counters of a warm account are never touched.

local function is_newer(version, known)
  if not known then return true end
  local key_version = MATCH.key(known)
  return tonumber(version) > tonumber(key_version)
end

local account, catalogue, holds = NAMES.account, NAMES.catalogue, NAMES.holds
local snapshot = cjson.decode(ARGS.snapshot)
local epoch = redis.call('HGET', catalogue, CATALOGUE.epoch)
if not epoch then return PUSHED{status = OUTCOME.cold_catalogue, pushes = 0} end
if epoch ~= snapshot.epoch then return PUSHED{status = OUTCOME.stale_epoch, pushes = 0} end

local stored = redis.call('HMGET', account, ACCOUNT.epoch, ACCOUNT.version)
local warm = stored[1] == epoch
if not warm and snapshot.seed == '0' then return PUSHED{status = OUTCOME.cold, pushes = 0} end

if not warm then
  -- Counters of an older epoch are worth nothing; key records stay, for a revocation may have
  -- overtaken this snapshot.
  for _, field in ipairs(redis.call('HKEYS', account)) do
    if string.sub(field, 1, #ACCOUNT.key) ~= ACCOUNT.key then redis.call('HDEL', account, field) end
  end
  redis.call('DEL', holds)
  redis.call('HSET', account, ACCOUNT.week, snapshot.week, ACCOUNT.used, snapshot.used,
    ACCOUNT.credits_spent, snapshot.credits_spent)
  for id, chats in pairs(snapshot.boosts_spent) do
    redis.call('HSET', account, ACCOUNT.spent_of_boost .. id, chats)
  end
  for digest, counted in pairs(snapshot.keys_used) do
    redis.call('HSET', account, ACCOUNT.counted .. digest, counted)
  end
  for i = 0, #KEYS - FIRST.marks do
    redis.call('SET', KEYS[FIRST.marks + i], ARGV[FIRST.contents + i], 'PX', ARGS.window_ms, 'NX')
  end
  redis.call('PERSIST', account)
end

if not warm or tonumber(stored[2]) < tonumber(snapshot.version) then
  redis.call('HSET', account, ACCOUNT.epoch, epoch, ACCOUNT.version, snapshot.version,
    ACCOUNT.plan, snapshot.plan, ACCOUNT.plans, snapshot.plans or '', ACCOUNT.packs, snapshot.packs,
    ACCOUNT.suspended, snapshot.suspended, ACCOUNT.credits, snapshot.credits,
    ACCOUNT.boosts, snapshot.boosts)
end

for digest, record in pairs(snapshot.keys) do
  local known = redis.call('HGET', account, ACCOUNT.key .. digest)
  local key_version = MATCH.key(record)
  if is_newer(key_version, known) then
    redis.call('HSET', account, ACCOUNT.key .. digest, record)
  end
end
-- An older copy of Valkey stays recognisable by what it lacks until its epoch is raised.
local pushes = tonumber(redis.call('HGET', catalogue, CATALOGUE.pushes) or '0')
if pushes >= tonumber(snapshot.pushes) then
  pushes = redis.call('HINCRBY', catalogue, CATALOGUE.pushes, 1)
end
return PUSHED{status = OUTCOME.stored, pushes = pushes}
