-- refund: give back exactly what one charge took, to where it came from, once.
--
-- Answers kept, of what was given back: ok | already | cold | cold_catalogue | too_late (the charge
-- is older than its mark would stay). An allowance chat of a week that has ended is gone.
-- Writes what check writes, the mark and a negative stream entry with the mark.

local account, catalogue, mark, holds = NAMES.account, NAMES.catalogue, NAMES.mark, NAMES.holds
local account_epoch, stored_week = unpack(redis.call('HMGET', account, ACCOUNT.epoch, ACCOUNT.week))
if not account_epoch then return {OUTCOME.cold} end
local epoch = redis.call('HGET', catalogue, CATALOGUE.epoch)
if not epoch then return {OUTCOME.cold_catalogue} end
if epoch ~= account_epoch then return {OUTCOME.cold} end

local now, now_week = clock(ARGS.now_ms)
if now - tonumber(ARGS.at_ms) > tonumber(ARGS.window_ms) then return {OUTCOME.too_late} end

local allowance, boosts, credits, credit_chats =
  tonumber(ARGS.allowance), ARGS.boosts, tonumber(ARGS.credits), tonumber(ARGS.credit_chats)
local week = enter_week(account, tonumber(stored_week or '-1'), now_week)
local in_stream = true

local before = redis.call('GET', mark)
if before then
  local mark_kind, mark_allowance, mark_boosts, mark_credits, mark_credit_chats = MATCH.mark(before)
  if mark_kind == 'refunded' then
    return KEPT{status = OUTCOME.already, allowance = tonumber(mark_allowance),
      boosts = mark_boosts, credits = tonumber(mark_credits)}
  end
  -- A settled hold: what was kept is what can be given back.
  allowance, boosts, credits, credit_chats =
    tonumber(mark_allowance), mark_boosts, tonumber(mark_credits), tonumber(mark_credit_chats)
elseif ARGS.is_hold == '1' then
  release_expired(account, holds, week, now)
  if redis.call('HDEL', account, ACCOUNT.hold .. ARGS.charge_ref) == 0 then
    return KEPT{status = OUTCOME.already}
  end
  redis.call('ZREM', holds, ARGS.charge_ref)
  redis.call('HINCRBY', account, ACCOUNT.holding, -1)
  in_stream = false
end

local boost_chats, negative = 0, {}
for taken_id, taken_chats in EACH.taken(boosts) do
  boost_chats = boost_chats + tonumber(taken_chats)
  negative[#negative + 1] = TEXT.taken{id = taken_id, chats = '-' .. taken_chats}
end
local returned = give_back(account, week, tonumber(ARGS.week), ARGS.at_ms, allowance, boosts,
  credits, ARGS.key_digest, allowance + boost_chats + credit_chats, ARGS.key_id)

local content = TEXT.mark{kind = 'refunded', allowance = whole(returned), boosts = boosts,
  credits = whole(credits), credit_chats = whole(credit_chats)}
redis.call('SET', mark, content, 'PX', ARGS.window_ms)
if in_stream then
  redis.call('XADD', NAMES.stream, '*',
    'e', TEXT.entry{handle = ARGS.handle, key_id = ARGS.key_id, meter = ARGS.meter,
      week = ARGS.week, allowance = whole(-allowance), boosts = table.concat(negative, ','),
      credit_chats = whole(-credit_chats), credits = whole(-credits), at_ms = ARGS.at_ms},
    'm', ARGS.charge_ref .. '|' .. content, 'n', ARGS.note)
end
return KEPT{status = OUTCOME.ok, allowance = returned, boosts = boosts, credits = credits}
