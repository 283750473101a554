-- extend: let a hold run for so long from now; one that runs longer already stays as it is.
--
-- Answers ok | gone (ran out, was settled or given back, or never was) | cold | cold_catalogue.

local account, catalogue, holds = NAMES.account, NAMES.catalogue, NAMES.holds
local account_epoch, stored_week = unpack(redis.call('HMGET', account, ACCOUNT.epoch, ACCOUNT.week))
if not account_epoch then return {OUTCOME.cold} end
local epoch = redis.call('HGET', catalogue, CATALOGUE.epoch)
if not epoch then return {OUTCOME.cold_catalogue} end
if epoch ~= account_epoch then return {OUTCOME.cold} end

local now, now_week = clock(ARGS.now_ms)
local week = enter_week(account, tonumber(stored_week or '-1'), now_week)
release_expired(account, holds, week, now)
local ends_ms = redis.call('ZSCORE', holds, ARGS.hold_id)
if not ends_ms then return {OUTCOME.gone} end
local later_ms = now + tonumber(ARGS.hold_ms)
if later_ms > tonumber(ends_ms) then redis.call('ZADD', holds, whole(later_ms), ARGS.hold_id) end
return {OUTCOME.ok}
