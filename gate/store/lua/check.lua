-- check: decide one charge, whole or not at all, and record it.
--
-- Names and arguments as `layout` declares them: units 0 looks, hold_ms 0 charges, now_ms 0 is the
-- server's clock; digests of the key come best first, and without any it is a look at the account.
-- The replay record is there only when the caller named a request id.
-- Answers an answer, or its status alone for cold, cold_catalogue, uncounted (what a key or member
-- with a budget used is not known), invalid_key, unknown_meter, conflict and too_many_holds. Not
-- enough is key_cap_reached or quota_exhausted where the same request may pass after the week,
-- above_key_cap or above_plan_cap where it may not. What people chose to spend refuses with reasons
-- of its own, and so do budgets, and how quickly they may ask.
-- Writes only fields that no projection writes: week, used, credits_spent, b:<boost id>,
-- u:<key digest>, paid, c:<key digest>, requests, r:<key id>, d:<key id>, w:<member id>, holding,
-- h:<hold id>; the stream, refusal counts, holds, the replay record, and refused and
-- f:<place>.
--
-- This file ends with the plain charge, which most are: a key without limits, an allowance that is
-- enough, no hold. It makes no function and no table that it does not need. Everything else goes on
-- in check_rest, with what was read here.

local account, catalogue, replay = NAMES.account, NAMES.catalogue, NAMES.replay
local meter, handle = ARGS.meter, ARGS.handle
local units, hold_ms = tonumber(ARGS.units), tonumber(ARGS.hold_ms)
local digest = ARGV[FIRST.digests]

local epoch, version, plan, plans, packs, suspended, credits, boosts_text, stored_week, used
local credits_spent, holding, spending, record, counted, key_spending, key_pace, rotated, key_budget
local matched = 0
if digest and not ARGV[FIRST.digests + 1] then
  epoch, version, plan, plans, packs, suspended, credits, boosts_text, stored_week, used,
    credits_spent, holding, spending, record, counted, key_spending, key_pace, rotated,
    key_budget =
      unpack(redis.call('HMGET', account,
      ACCOUNT.epoch, ACCOUNT.version, ACCOUNT.plan, ACCOUNT.plans, ACCOUNT.packs, ACCOUNT.suspended,
      ACCOUNT.credits, ACCOUNT.boosts, ACCOUNT.week, ACCOUNT.used, ACCOUNT.credits_spent,
      ACCOUNT.holding, ACCOUNT.spending, ACCOUNT.key .. digest, ACCOUNT.counted .. digest,
      ACCOUNT.spending_of_key .. digest, ACCOUNT.pace_of_key .. digest, ACCOUNT.rotated .. digest,
      ACCOUNT.budget_of_key .. digest))
else
  local fields = {ACCOUNT.epoch, ACCOUNT.version, ACCOUNT.plan, ACCOUNT.plans, ACCOUNT.packs,
    ACCOUNT.suspended, ACCOUNT.credits, ACCOUNT.boosts, ACCOUNT.week, ACCOUNT.used,
    ACCOUNT.credits_spent, ACCOUNT.holding, ACCOUNT.spending}
  local of_account = #fields
  for i = FIRST.digests, #ARGV do
    fields[#fields + 1] = ACCOUNT.key .. ARGV[i]
    fields[#fields + 1] = ACCOUNT.counted .. ARGV[i]
    fields[#fields + 1] = ACCOUNT.spending_of_key .. ARGV[i]
    fields[#fields + 1] = ACCOUNT.pace_of_key .. ARGV[i]
    fields[#fields + 1] = ACCOUNT.rotated .. ARGV[i]
    fields[#fields + 1] = ACCOUNT.budget_of_key .. ARGV[i]
  end
  local state = redis.call('HMGET', account, unpack(fields))
  epoch, version, plan, plans, packs, suspended, credits, boosts_text, stored_week, used,
    credits_spent, holding, spending = unpack(state, 1, of_account)
  for i = #ARGV, FIRST.digests, -1 do
    local at = of_account + 1 + (i - FIRST.digests) * 6
    if state[at] then
      digest, record, counted = ARGV[i], state[at], state[at + 1]
      matched = i - FIRST.digests
      key_spending, key_pace, rotated = state[at + 2], state[at + 3], state[at + 4]
      key_budget = state[at + 5]
    end
  end
end
if not epoch then return {OUTCOME.cold} end

local now, week = clock(ARGS.now_ms)
-- Where plans follow one another, the first that has not ended.
if plans and plans ~= '' then
  local plans_version, plans_in_turn = MATCH.plans(plans)
  if plans_version == version then
    for plan_slug, plan_ends_ms in EACH.plan(plans_in_turn) do
      plan = plan_slug
      if plan_ends_ms == '0' or now < tonumber(plan_ends_ms) then break end
    end
  end
end

local terms_epoch, rate, cost, cap, plan_pace, lifted
if packs == '' then
  terms_epoch, rate, cost, cap, plan_pace =
    unpack(redis.call('HMGET', catalogue, CATALOGUE.epoch, CATALOGUE.rate,
      CATALOGUE.meter .. meter, CATALOGUE.cap .. plan, CATALOGUE.pace .. plan))
else
  local wanted = {CATALOGUE.epoch, CATALOGUE.rate, CATALOGUE.meter .. meter,
    CATALOGUE.cap .. plan, CATALOGUE.pace .. plan}
  for pack in string.gmatch(packs, '[^,]+') do
    wanted[#wanted + 1] = CATALOGUE.cap .. plan .. ':' .. pack
  end
  lifted = redis.call('HMGET', catalogue, unpack(wanted))
  terms_epoch, rate, cost, cap, plan_pace = unpack(lifted, 1, 5)
end
if not terms_epoch then return {OUTCOME.cold_catalogue} end
if terms_epoch ~= epoch then return {OUTCOME.cold} end
if not cap then return {OUTCOME.cold_catalogue} end
cap, rate = tonumber(cap), tonumber(rate)

-- One that has ended is never reopened.
stored_week = tonumber(stored_week or -1)
used, credits_spent = tonumber(used or 0), tonumber(credits_spent or 0)

local key_version, key_id, key_state, key_expires_ms, key_weekly_cap, key_scopes, key_addresses
local counted_as, is_current_refused = digest, false
if record and rotated then
  -- What a key used is counted under its first secret, whichever of them was shown.
  local rotated_counted_as, rotated_current = MATCH.rotated(rotated)
  counted_as = rotated_counted_as
  local current
  counted, current = unpack(redis.call('HMGET', account,
    ACCOUNT.counted .. counted_as, ACCOUNT.key .. rotated_current))
  if current then
    key_version, key_id, key_state = MATCH.key(current)
    is_current_refused = key_state ~= 'active'
  end
end
if record then
  key_version, key_id, key_state, key_expires_ms, key_weekly_cap, key_scopes, key_addresses =
    MATCH.key(record)
  -- A release that does not know former secrets revokes the current one only.
  if is_current_refused then key_state = 'revoked' end
end

-- One that another pepper made goes on below, where the answer says so.
if key_state == 'active' and cost and units > 0 and hold_ms == 0 and key_expires_ms == ''
  and key_weekly_cap == '' and key_scopes == '' and key_addresses == '' and suspended ~= '1'
  and matched == 0
  and (not spending or spending == '') and not key_spending and not key_pace and not plan_pace
  and not key_budget and boosts_text == '' and not lifted and (not holding or holding == '0')
  and not (replay
    and redis.call('EXISTS', replay, NAMES.replay_of_first_release or replay) > 0) then
  local counts = stored_week < week and week or stored_week
  local already = stored_week < week and 0 or used
  local chats = units * cost
  if cap < 0 or already + chats <= cap then
    local key_used = chats
    if counted then
      local counted_week, counted_chats = MATCH.counted(counted)
      if tonumber(counted_week) == counts then key_used = tonumber(counted_chats) + chats end
    end
    redis.call('HSET', account, ACCOUNT.week, counts, ACCOUNT.used, already + chats,
      ACCOUNT.counted .. counted_as, TEXT.counted{week = counts, chats = key_used})
    -- One packed field: an entry is written for every charge, and waits in memory for the drain.
    local entry_id = redis.call('XADD', NAMES.stream, '*', 'e', TEXT.entry{handle = handle,
      key_id = key_id, meter = meter, week = counts, allowance = chats, at_ms = now},
      'n', ARGS.note)
    local answer = ANSWER{status = REASON.ok, key_id = key_id, plan = plan, cap = cap,
      used = already + chats, credits_left = credits - credits_spent, credits_per_chat = rate,
      week = counts, allowance_taken = chats, entry_id = entry_id, at_ms = now,
      key_used = key_used, key_digest = counted_as, wanted = chats,
      note = replay and ARGS.note or ''}
    if replay then
      redis.call('SET', replay,
        cjson.encode({fingerprint = ARGS.fingerprint .. '|' .. key_id, reply = answer}),
        'PX', ARGS.replay_window_ms)
    end
    return answer
  end
end
