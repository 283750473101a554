-- put_account: write what PostgreSQL grants to an account; seed what was spent if it is cold.
--
-- The snapshot is JSON, every leaf a string: {seed (1: it knows all that was spent), epoch, pushes
-- (that PostgreSQL knows of), version, plan, plans, packs, suspended, credits, boosts, week, used,
-- credits_spent, boosts_spent: {id: chats}, keys: {digest: record}, keys_used: {digest: counted},
-- spending, spending_of_keys: {digest: spending}, paid, paid_by_keys: {digest: paid},
-- pace_of_keys: {digest: pace}, rotated_keys: {digest: rotated}, budget_of_keys: {digest: budget},
-- budgets: of members}. A key may stand there by two secrets; counted and paid are of the first
-- that it ever had.
-- Marks of recent charges come in NAMES, their contents in the same order in ARGS.
-- Answers pushed: stored | cold_catalogue | stale_epoch (the snapshot must be read again)
-- | cold (the account is cold and the snapshot does not seed).
-- A snapshot may arrive twice, late or out of order: of the limits and of each key the highest
-- version stays, and spent counters of a warm account are never touched.

-- Above 0 where a key's version is newer than what is known of it, 0 where it is the same.
local function ahead_of(known, version)
  if not known then return 1 end
  local key_version = MATCH.key(known)
  return tonumber(version) - tonumber(key_version)
end

local account, catalogue, holds = NAMES.account, NAMES.catalogue, NAMES.holds
local snapshot = cjson.decode(ARGS.snapshot)

-- What belongs to a key's record and has a field of its own, blank where there is nothing. Of the
-- same version, too: a release that does not know it left it out.
local function put_of_key(field, text, ahead)
  if ahead >= 0 and text ~= '' then
    redis.call('HSET', account, field, text)
  elseif ahead > 0 then
    redis.call('HDEL', account, field)
  end
end

local epoch = redis.call('HGET', catalogue, CATALOGUE.epoch)
if not epoch then return PUSHED{status = OUTCOME.cold_catalogue, pushes = 0} end
if epoch ~= snapshot.epoch then return PUSHED{status = OUTCOME.stale_epoch, pushes = 0} end

local stored = redis.call('HMGET', account, ACCOUNT.epoch, ACCOUNT.version)
local warm = stored[1] == epoch
if not warm and snapshot.seed == '0' then return PUSHED{status = OUTCOME.cold, pushes = 0} end

if not warm then
  -- Counters of an older epoch are worth nothing; key records stay, for a revocation may have
  -- overtaken this snapshot.
  local versions = {}
  for _, record in pairs(snapshot.keys) do
    local key_version, key_id = MATCH.key(record)
    versions[key_id] = tonumber(key_version)
  end
  for _, field in ipairs(redis.call('HKEYS', account)) do
    local begins, digest = string.sub(field, 1, #ACCOUNT.key), string.sub(field, #ACCOUNT.key + 1)
    if begins == ACCOUNT.key then
      -- A secret that a key had long ago: an older copy of Valkey may hold it as active.
      if not snapshot.keys[digest] then
        local key_version, key_id = MATCH.key(redis.call('HGET', account, field))
        if tonumber(key_version) < (versions[key_id] or 0) then
          redis.call('HDEL', account, field)
        end
      end
    elseif begins ~= ACCOUNT.spending_of_key and begins ~= ACCOUNT.pace_of_key
      and begins ~= ACCOUNT.rotated and begins ~= ACCOUNT.budget_of_key then
      redis.call('HDEL', account, field)
    end
  end
  redis.call('DEL', holds)
  redis.call('HSET', account, ACCOUNT.week, snapshot.week, ACCOUNT.used, snapshot.used,
    ACCOUNT.credits_spent, snapshot.credits_spent, ACCOUNT.paid, snapshot.paid)
  for id, chats in pairs(snapshot.boosts_spent) do
    redis.call('HSET', account, ACCOUNT.spent_of_boost .. id, chats)
  end
  for digest, counted in pairs(snapshot.keys_used) do
    redis.call('HSET', account, ACCOUNT.counted .. digest, counted)
  end
  for digest, paid in pairs(snapshot.paid_by_keys) do
    redis.call('HSET', account, ACCOUNT.paid_by_key .. digest, paid)
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
    ACCOUNT.boosts, snapshot.boosts, ACCOUNT.spending, snapshot.spending)
  -- Whoever has none any more is not counted, and is counted anew with another one.
  local known = ';' .. snapshot.budgets
  for id in string.gmatch(redis.call('HGET', account, ACCOUNT.budgets) or '', '(%d+)=') do
    if not string.find(known, ';' .. id .. '=', 1, true) then
      redis.call('HDEL', account, ACCOUNT.amounts_of_member .. id)
    end
  end
  if snapshot.budgets == '' then
    redis.call('HDEL', account, ACCOUNT.budgets)
  else
    redis.call('HSET', account, ACCOUNT.budgets, snapshot.budgets)
  end
end

for digest, record in pairs(snapshot.keys) do
  local known = redis.call('HGET', account, ACCOUNT.key .. digest)
  local key_version, key_id = MATCH.key(record)
  local ahead = ahead_of(known, key_version)
  if ahead > 0 then redis.call('HSET', account, ACCOUNT.key .. digest, record) end
  put_of_key(ACCOUNT.spending_of_key .. digest, snapshot.spending_of_keys[digest], ahead)
  put_of_key(ACCOUNT.pace_of_key .. digest, snapshot.pace_of_keys[digest], ahead)
  put_of_key(ACCOUNT.rotated .. digest, snapshot.rotated_keys[digest] or '', ahead)
  put_of_key(ACCOUNT.budget_of_key .. digest, snapshot.budget_of_keys[digest] or '', ahead)
  if ahead > 0 and not snapshot.budget_of_keys[digest] then
    redis.call('HDEL', account, ACCOUNT.amounts_of_key .. key_id)
  end
end
-- An older copy of Valkey stays recognisable by what it lacks until its epoch is raised.
local pushes = tonumber(redis.call('HGET', catalogue, CATALOGUE.pushes) or '0')
if pushes >= tonumber(snapshot.pushes) then
  pushes = redis.call('HINCRBY', catalogue, CATALOGUE.pushes, 1)
end
return PUSHED{status = OUTCOME.stored, pushes = pushes}
