-- settle: keep part of a hold, give the rest back.
--
-- Answers kept: ok | already (settled the same before) | conflict (settled otherwise, or refunded)
-- | gone (ran out, or never was) | too_much (more than was held) | cold | cold_catalogue.
-- Kept is taken in the burn order: allowance, boosts, credits last.
-- Writes what check writes, the mark and the stream entry of what was kept, with its tokens
-- and its note.

local account, catalogue, mark, holds = NAMES.account, NAMES.catalogue, NAMES.mark, NAMES.holds
local account_epoch, stored_week = unpack(redis.call('HMGET', account, ACCOUNT.epoch, ACCOUNT.week))
if not account_epoch then return {OUTCOME.cold} end
local epoch = redis.call('HGET', catalogue, CATALOGUE.epoch)
if not epoch then return {OUTCOME.cold_catalogue} end
if epoch ~= account_epoch then return {OUTCOME.cold} end

local units = tonumber(ARGS.units)
local before = redis.call('GET', mark)
if before then
  local mark_kind, mark_allowance, mark_boosts, mark_credits, mark_credit_chats, mark_units =
    MATCH.mark(before)
  if mark_kind == 'settled' and tonumber(mark_units) == units then
    return KEPT{status = OUTCOME.already, allowance = tonumber(mark_allowance),
      boosts = mark_boosts, credits = tonumber(mark_credits),
      credit_chats = tonumber(mark_credit_chats)}
  end
  return {OUTCOME.conflict}
end

local now, now_week = clock(ARGS.now_ms)
local week = enter_week(account, tonumber(stored_week or '-1'), now_week)
release_expired(account, holds, week, now)
local text = redis.call('HGET', account, ACCOUNT.hold .. ARGS.hold_id)
if not text then return {OUTCOME.gone} end
local hold = read_hold(text)
local kept = units * hold.cost
if kept > hold.chats then return {OUTCOME.too_much} end

local missing = kept
local allowance = math.min(missing, hold.allowance)
missing = missing - allowance
local kept_boosts, returned_boosts = {}, {}
for taken_id, taken_chats in EACH.taken(hold.boosts) do
  local part = math.min(missing, tonumber(taken_chats))
  missing = missing - part
  if part > 0 then
    kept_boosts[#kept_boosts + 1] = TEXT.taken{id = taken_id, chats = whole(part)}
  end
  local rest = tonumber(taken_chats) - part
  if rest > 0 then
    returned_boosts[#returned_boosts + 1] = TEXT.taken{id = taken_id, chats = whole(rest)}
  end
end
local credit_chats = missing
local credits = 0
if credit_chats > 0 then credits = credit_chats * hold.credits / hold.credit_chats end

give_back(account, week, hold.week, hold.at_ms, hold.allowance - allowance,
  table.concat(returned_boosts, ','), hold.credits - credits, hold.digest, hold.chats - kept,
  hold.key_id)
redis.call('HDEL', account, ACCOUNT.hold .. ARGS.hold_id)
redis.call('ZREM', holds, ARGS.hold_id)
redis.call('HINCRBY', account, ACCOUNT.holding, -1)

local boosts = table.concat(kept_boosts, ',')
local content = TEXT.mark{kind = 'settled', allowance = whole(allowance), boosts = boosts,
  credits = whole(credits), credit_chats = whole(credit_chats), units = whole(units)}
redis.call('SET', mark, content, 'PX', ARGS.window_ms)
if kept > 0 then
  local fields = {'e', TEXT.entry{handle = ARGS.handle, key_id = hold.key_id, meter = hold.meter,
      week = whole(hold.week), allowance = whole(allowance), boosts = boosts,
      credit_chats = whole(credit_chats), credits = whole(credits), at_ms = hold.at_ms},
    'm', ARGS.hold_id .. '|' .. content, 'n', ARGS.note}
  if ARGS.tokens ~= '' then
    fields[7], fields[8] = 't', ARGS.tokens
  end
  redis.call('XADD', NAMES.stream, '*', unpack(fields))
end
return KEPT{status = OUTCOME.ok, allowance = allowance, boosts = boosts, credits = credits,
  credit_chats = credit_chats}
