-- check_rest: every check that is not plain, with what check has read.

local stream, refusals, holds = NAMES.stream, NAMES.refusals, NAMES.holds
local HOLDS_AT_MOST = 1000

-- A refusal is counted by hour and reason, so that a client in a loop cannot fill the memory.
local function count_refusal(reason)
  redis.call('HINCRBY', refusals,
    handle .. '|' .. key_id .. '|' .. whole(math.floor(now / 3600000)) .. '|' .. reason, 1)
end

-- The last ones of the account are kept one by one for its people, each in one of so many places,
-- apart from what passed: a client in a loop pushes out only refusals. Not in a list of their own,
-- because every check would pay for one more name.
local function keep_refusal(reason)
  if units == 0 then return end
  -- Of a meter that there is: any other is a text of the caller.
  local asked_for = cost and meter or ''
  local number = redis.call('HINCRBY', account, ACCOUNT.refused, 1)
  redis.call('HSET', account, ACCOUNT.refusal .. number % RECENT_AT_MOST,
    TEXT.refused{at_ms = whole(now), number = number, key_id = key_id, meter = asked_for,
      chats = whole(units * (cost or 0)), reason = reason, note = ARGS.note})
end

local function is_within(network, address)
  local prefix, bits = string.match(network, '^(%x+)/(%d+)$')
  bits = tonumber(bits)
  local digits = math.floor(bits / 4)
  if string.sub(prefix, 1, digits) ~= string.sub(address, 1, digits) then return false end
  local rest = bits % 4
  if rest == 0 then return true end
  local step = 2 ^ (4 - rest)
  local ours = tonumber(string.sub(address, digits + 1, digits + 1), 16)
  local theirs = tonumber(string.sub(prefix, digits + 1, digits + 1), 16)
  return math.floor(ours / step) == math.floor(theirs / step)
end

-- The key: known, not revoked, not expired, asked for from where it may be used.
local key_cap, key_digest = -1, ''
if digest then
  if not record then return {REASON.invalid_key} end
  key_digest = counted_as
  if key_state ~= 'active' or (key_expires_ms ~= '' and now >= tonumber(key_expires_ms)) then
    keep_refusal(REASON.invalid_key)
    return {REASON.invalid_key}
  end
  if key_addresses ~= '' then
    local address, is_here = ARGS.address, false
    if address ~= '' then
      for network in string.gmatch(key_addresses, '[^,]+') do
        is_here = is_here or is_within(network, address)
      end
    end
    -- Asked for from elsewhere the key is unknown, whatever else is asked. Its owner can see it.
    if not is_here then
      count_refusal(REASON.wrong_address)
      keep_refusal(REASON.wrong_address)
      return {REASON.invalid_key}
    end
  end
  if key_weekly_cap ~= '' then key_cap = tonumber(key_weekly_cap) end
elseif units ~= 0 then
  return redis.error_reply('ERR a charge needs a key')
else
  key_id = '0'
end

-- A look at the account is about no meter.
if not cost and digest then return {REASON.unknown_meter} end

if replay and units > 0 then
  local first = redis.call('GET', replay)
    or (NAMES.replay_of_first_release and redis.call('GET', NAMES.replay_of_first_release))
  if first then
    local before = cjson.decode(first)
    if before.fingerprint ~= ARGS.fingerprint .. '|' .. key_id then return {OUTCOME.conflict} end
    return before.reply
  end
end

local held = tonumber(holding or 0)
if held > 0 then
  week = enter_week(account, stored_week, week)
  stored_week = week
  local released = release_expired(account, holds, week, now)
  if released > 0 then
    held = held - released
    counted = digest and redis.call('HGET', account, ACCOUNT.counted .. counted_as)
  end
  local fresh = redis.call('HMGET', account, ACCOUNT.used, ACCOUNT.credits_spent)
  used, credits_spent = tonumber(fresh[1] or 0), tonumber(fresh[2] or 0)
end
if stored_week < week then used = 0 else week = stored_week end
local key_used = 0
if counted then
  local counted_week, counted_chats = MATCH.counted(counted)
  if tonumber(counted_week) == week then key_used = tonumber(counted_chats) end
end

-- What may be used, by source.
if lifted then
  for i = 6, #lifted do
    local by_pack = tonumber(lifted[i] or '')
    if by_pack and cap >= 0 and (by_pack < 0 or by_pack > cap) then cap = by_pack end
  end
end
local boosts, boost_left = {}, 0
for boost_id, boost_chats, boost_expires_ms in EACH.boost(boosts_text) do
  if tonumber(boost_expires_ms) > now then
    boosts[#boosts + 1] =
      {id = boost_id, left = tonumber(boost_chats), ends = tonumber(boost_expires_ms)}
  end
end
if #boosts > 0 then
  local spent_fields = {}
  for i, boost in ipairs(boosts) do spent_fields[i] = ACCOUNT.spent_of_boost .. boost.id end
  for i, spent in ipairs(redis.call('HMGET', account, unpack(spent_fields))) do
    boosts[i].left = math.max(0, boosts[i].left - tonumber(spent or '0'))
    boost_left = boost_left + boosts[i].left
  end
end
cost = tonumber(cost or 0)
local wanted_chats = units * cost
local credits_left = tonumber(credits) - credits_spent

-- What people chose to spend past the allowance, of the account and of the key: both hold.
local month = month_of(now)
local choices, pays_boosts, pays_credits, units_a_request = {}, true, true, -1
local function read_choice(by, text, paid_field)
  if not text or text == '' then return end
  local spending_past_allowance, spending_credits_a_week, spending_credits_a_month,
    spending_units_a_request = MATCH.spending(text)
  local choice = {by = by, past_allowance = spending_past_allowance,
    week = tonumber(spending_credits_a_week), month = tonumber(spending_credits_a_month),
    units = tonumber(spending_units_a_request), in_week = 0, in_month = 0}
  if choice.week or choice.month then
    choice.in_week, choice.in_month, choice.counts =
      read_paid(account, paid_field, week, month)
    month = choice.counts
  end
  pays_boosts = pays_boosts and choice.past_allowance ~= 'nothing'
  pays_credits = pays_credits and choice.past_allowance == ''
  if choice.units and (units_a_request < 0 or choice.units < units_a_request) then
    units_a_request = choice.units
  end
  choices[#choices + 1] = choice
end
read_choice('account', spending, ACCOUNT.paid)
if digest then read_choice('key', key_spending, ACCOUNT.paid_by_key .. counted_as) end

-- What a ceiling leaves at a moment, now or to come.
local function left_of_week(choice, moment)
  return math.max(0, choice.week - (moment < week_ends(week) and choice.in_week or 0))
end
local function left_of_month(choice, moment)
  return math.max(0, choice.month - (moment < month_ends(month) and choice.in_month or 0))
end
local function credit_room(moment)
  local room = math.huge
  for _, choice in ipairs(choices) do
    if choice.week then room = math.min(room, left_of_week(choice, moment)) end
    if choice.month then room = math.min(room, left_of_month(choice, moment)) end
  end
  return room
end

-- Which choice does not let so many credits be spent at a moment, and whose it is. The one that
-- ends last is told: where it is changed, the others may still be waited for.
local function refused_by(credits_wanted, moment)
  for _, choice in ipairs(choices) do
    if choice.past_allowance == 'nothing' then return REASON.spending_stopped, choice.by end
  end
  for _, choice in ipairs(choices) do
    if choice.past_allowance == 'boosts' then return REASON.credits_switched_off, choice.by end
  end
  for _, choice in ipairs(choices) do
    if choice.month and credits_wanted > left_of_month(choice, moment) then
      return REASON.credit_ceiling_month, choice.by
    end
  end
  for _, choice in ipairs(choices) do
    if choice.week and credits_wanted > left_of_week(choice, moment) then
      return REASON.credit_ceiling_week, choice.by
    end
  end
end

-- What a key may use in a day, a month and in all, and the member whose it is: all of it holds.
local budgets = {}
-- Answers whether it is known what was used.
local function read_budget(by, text, counts_in, member)
  local amounts = read_amounts(account, counts_in)
  if not amounts or amounts.member ~= member then return false end
  enter_periods(amounts, day_of(now), week, month_of(now))
  local budget_a_day, budget_a_week, budget_a_month, budget_in_all = MATCH.budget(text)
  local limits = {}
  -- The one that ends last comes first.
  for _, limit in ipairs({
    {'all', tonumber(budget_in_all), amounts.in_all, math.huge},
    {'month', tonumber(budget_a_month), amounts.in_month, month_ends(amounts.month)},
    {'week', tonumber(budget_a_week), amounts.in_week, week_ends(amounts.week)},
    {'day', tonumber(budget_a_day), amounts.in_day, day_ends(amounts.day)},
  }) do
    if limit[2] then
      limits[#limits + 1] = {by = by, period = limit[1], most = limit[2], used = limit[3],
        ends = limit[4]}
    end
  end
  budgets[#budgets + 1] = {amounts = amounts, limits = limits}
  return true
end
if key_budget then
  local budget_a_day, budget_a_week, budget_a_month, budget_in_all, budget_member =
    MATCH.budget(key_budget)
  local of_key = ACCOUNT.amounts_of_key .. key_id
  if not read_budget('key', key_budget, of_key, budget_member) then return {OUTCOME.uncounted} end
  if budget_member ~= '' then
    local texts = ';' .. (redis.call('HGET', account, ACCOUNT.budgets) or '') .. ';'
    local of_member = string.match(texts, ';' .. budget_member .. '=([^;]*);')
    local counts_in = ACCOUNT.amounts_of_member .. budget_member
    -- Counted for a member of whom nothing is known: what is known is behind.
    if not of_member or not read_budget('member', of_member, counts_in, '') then
      return {OUTCOME.uncounted}
    end
  end
end

-- What budgets leave; -1 where there is none.
local function left_of_budgets()
  local left = -1
  for _, budget in ipairs(budgets) do
    for _, limit in ipairs(budget.limits) do
      local of_limit = math.max(0, limit.most - limit.used)
      if left < 0 or of_limit < left then left = of_limit end
    end
  end
  return left
end

-- Which of them does not let so many chats pass, and when the last of those ends: 0 is never.
local function refused_by_budget(chats)
  local refuses, since = nil, 0
  for _, budget in ipairs(budgets) do
    for _, limit in ipairs(budget.limits) do
      if limit.used + chats > limit.most then
        local ends = chats > limit.most and math.huge or limit.ends
        if not refuses or ends > since then refuses, since = limit, ends end
      end
    end
  end
  return refuses, since
end

-- How quickly may be asked, by the key and by the account's plan: both hold.
local paces = {}
local function read_pace(by, text, requests_field)
  if not text then return end
  local pace_a_minute, pace_at_once = MATCH.pace(text)
  if pace_a_minute == '' and pace_at_once == '' then return end
  local pace = {by = by, a_minute = tonumber(pace_a_minute), at_once = tonumber(pace_at_once)}
  if pace.a_minute then
    pace.field, pace.requests = requests_field, read_requests(account, requests_field, now)
    pace.left, pace.frees_ms = left_of(pace.requests, pace.a_minute)
  end
  if pace.at_once then
    -- A key has not more open than its account.
    local may_be_full = by == 'key' and (units == 0 or held >= pace.at_once)
    pace.open = may_be_full and open_of_key(account, holds, key_digest) or held
  end
  paces[#paces + 1] = pace
end
read_pace('account', plan_pace, ACCOUNT.requests)
if digest then read_pace('key', key_pace, ACCOUNT.requests_of_key .. key_id) end

-- A plan may have some meters only: the key may use those that both have. Its own stay as they are.
if plan_pace then
  local pace_a_minute, pace_at_once, pace_meters = MATCH.pace(plan_pace)
  if pace_meters ~= '' then
    local in_both, of_plan = {}, ',' .. pace_meters .. ','
    local of_key = (key_scopes or '') ~= '' and key_scopes or pace_meters
    for scope in string.gmatch(of_key, '[^,]+') do
      if string.find(of_plan, ',' .. scope .. ',', 1, true) then in_both[#in_both + 1] = scope end
    end
    -- Blank is all of them; no meter is called so.
    key_scopes = #in_both > 0 and table.concat(in_both, ',') or ':'
  end
end

-- Models that the key may ask: what nobody names is none of them.
local key_models = ''
if key_pace then
  local pace_a_minute, pace_at_once, pace_meters, pace_models = MATCH.pace(key_pace)
  key_models = pace_models
end
local function may_ask_model()
  if key_models == '' then return true end
  local note_tag, note_model = MATCH.note(ARGS.note)
  return note_model ~= ''
    and string.find(',' .. key_models .. ',', ',' .. note_model .. ',', 1, true) ~= nil
end

-- What leaves least room of the minute, and of those alike what frees some last.
local function tightest_minute()
  local tightest
  for _, pace in ipairs(paces) do
    if pace.a_minute and (not tightest or pace.left < tightest.left
      or (pace.left == tightest.left and pace.frees_ms > tightest.frees_ms)) then
      tightest = pace
    end
  end
  return tightest
end

-- The same of what is asked at the same time.
local function tightest_at_once()
  local tightest
  for _, pace in ipairs(paces) do
    if pace.at_once
      and (not tightest or pace.at_once - pace.open < tightest.at_once - tightest.open) then
      tightest = pace
    end
  end
  return tightest
end

local function told_pace()
  if #paces == 0 then return '' end
  local minute, at_once = tightest_minute() or {}, tightest_at_once() or {}
  return TEXT.room{a_minute = (minute.a_minute or ''), left = (minute.left or 0),
    frees_ms = whole(minute.frees_ms or 0), at_once = (at_once.at_once or ''),
    open = (at_once.open or 0)}
end

local function told_budget(limit)
  if not limit then return '' end
  return TEXT.met{by = limit.by, period = limit.period, most = whole(limit.most),
    used = whole(limit.used)}
end

local function answer_of(status, allowance, boosts_taken, credits_taken, entry_id, by, passes_at_ms,
  limit)
  local left = {}
  if units == 0 then
    for i, boost in ipairs(boosts) do
      left[i] = TEXT.taken{id = boost.id, chats = whole(boost.left)}
    end
  end
  local room = credit_room(now)
  -- The words that refuse a model name it.
  local tells_note = replay or status == REASON.model_not_permitted
  return ANSWER{status = status, key_id = key_id, plan = plan, cap = cap, used = used,
    boost_left = boost_left, credits_left = credits_left, credits_per_chat = rate, week = week,
    allowance_taken = allowance, boosts_taken = boosts_taken, credits_taken = credits_taken,
    entry_id = entry_id, at_ms = now, left_by_boost = table.concat(left, ','), key_cap = key_cap,
    key_used = key_used, key_digest = key_digest, wanted = wanted_chats,
    scopes = units == 0 and key_scopes or '', note = tells_note and ARGS.note or '',
    past_allowance = pays_credits and '' or (pays_boosts and 'boosts' or 'nothing'),
    credit_room = room < math.huge and room or -1, units_a_request = units_a_request,
    chosen_by = by or '', passes_at_ms = passes_at_ms or 0, room = told_pace(), matched = matched,
    models = units == 0 and key_models or '', budget_left = left_of_budgets(),
    met = told_budget(limit)}
end

local function refuse(status, passes_at_ms, by, limit)
  if units > 0 then
    count_refusal(status)
    keep_refusal(status)
  end
  return answer_of(status, 0, '', 0, '', by, passes_at_ms, limit)
end

-- Boosts that pay at a moment to come, if nothing else uses them.
local function boosts_at(moment)
  local chats = 0
  if not pays_boosts then return chats end
  for _, boost in ipairs(boosts) do
    if boost.ends > moment then chats = chats + boost.left end
  end
  return chats
end

-- Whether it could be paid at a moment to come, if nothing else uses it: the allowance, anew with
-- the week, boosts that live on, credits.
local function is_payable_at(moment)
  if cap < 0 then return true end
  local payable = (moment < week_ends(week) and math.max(0, cap - used) or cap) + boosts_at(moment)
  if pays_credits then
    local payable_credits = math.min(math.max(0, credits_left), credit_room(moment))
    payable = payable + math.floor(payable_credits / rate)
  end
  return wanted_chats <= payable
end

-- When the same may pass by itself: when a day, a week or a month has ended. 0 where it may not.
local function passes_at(since)
  local moments = {week_ends(week), month_ends(month)}
  for _, budget in ipairs(budgets) do
    moments[#moments + 1] = day_ends(budget.amounts.day)
    moments[#moments + 1] = month_ends(budget.amounts.month)
  end
  table.sort(moments)
  for _, moment in ipairs(moments) do
    if moment >= since and is_payable_at(moment) then return moment end
  end
  return 0
end

if suspended == '1' then return refuse(REASON.suspended) end
if digest and key_scopes ~= '' and units > 0
  and not string.find(',' .. key_scopes .. ',', ',' .. meter .. ',', 1, true) then
  return refuse(REASON.not_permitted)
end
if digest and units > 0 and not may_ask_model() then return refuse(REASON.model_not_permitted) end
if units_a_request >= 0 and units > units_a_request then
  for _, choice in ipairs(choices) do
    if choice.units == units_a_request then
      return refuse(REASON.request_too_large, 0, choice.by)
    end
  end
end
-- allowance -> boosts by expiry -> credits: split over them, or refused whole.
local met, met_ends = refused_by_budget(wanted_chats)
-- Of what may be waited for, what ends last is told.
local is_key_cap_told = met_ends <= week_ends(week) or wanted_chats > key_cap
if key_cap >= 0 and wanted_chats > 0 and key_used + wanted_chats > key_cap and is_key_cap_told then
  if wanted_chats > key_cap then return refuse(REASON.above_key_cap) end
  local passes_at_ms = passes_at(week_ends(week))
  if passes_at_ms > 0 then return refuse(REASON.key_cap_reached, passes_at_ms) end
  local anew = math.max(week_ends(week), month_ends(month))
  local reason, by = refused_by((wanted_chats - cap - boosts_at(anew)) * rate, anew)
  return refuse(reason or REASON.above_plan_cap, 0, by)
end
if met and wanted_chats > 0 then
  local reason = met.by == 'member' and REASON.member_budget_reached or REASON.key_budget_reached
  return refuse(reason, met_ends < math.huge and passes_at(met_ends) or 0, met.by, met)
end
local from_allowance = wanted_chats
if cap >= 0 then from_allowance = math.min(wanted_chats, math.max(0, cap - used)) end
local from_boosts = math.min(wanted_chats - from_allowance, pays_boosts and boost_left or 0)
local from_credits = wanted_chats - from_allowance - from_boosts
local credits_taken = from_credits * rate

if from_credits > 0 then
  local chosen, by = refused_by(credits_taken, now)
  if chosen then return refuse(chosen, passes_at(0), by) end
  if credits_taken > credits_left then
    local passes_at_ms = passes_at(0)
    local reason = passes_at_ms > 0 and REASON.quota_exhausted or REASON.above_plan_cap
    return refuse(reason, passes_at_ms)
  end
end
if units == 0 then return answer_of(REASON.ok, 0, '', 0, '') end

-- Last, so that what is refused for another reason says that, and counts nothing here.
local minute, at_once = tightest_minute(), hold_ms > 0 and tightest_at_once()
if minute and minute.left < 1 then
  return refuse(REASON.rate_limited, minute.frees_ms, minute.by)
end
if at_once and at_once.open >= at_once.at_once then
  -- Any of them may be done the next moment.
  return refuse(REASON.too_many_at_once, now + 1000, at_once.by)
end
if hold_ms > 0 and held >= HOLDS_AT_MOST then
  keep_refusal(OUTCOME.too_many_holds)
  return {OUTCOME.too_many_holds}
end

local taken, missing = {}, from_boosts
for _, boost in ipairs(boosts) do
  if missing == 0 then break end
  local part = math.min(missing, boost.left)
  if part > 0 then
    redis.call('HINCRBY', account, ACCOUNT.spent_of_boost .. boost.id, whole(part))
    taken[#taken + 1] = TEXT.taken{id = boost.id, chats = whole(part)}
    missing = missing - part
  end
end
used = used + from_allowance
key_used = key_used + wanted_chats
boost_left = boost_left - from_boosts
credits_left = credits_left - credits_taken
redis.call('HSET', account, ACCOUNT.week, whole(week), ACCOUNT.used, whole(used),
  ACCOUNT.counted .. key_digest, TEXT.counted{week = whole(week), chats = whole(key_used)})
if credits_taken > 0 then
  redis.call('HINCRBY', account, ACCOUNT.credits_spent, whole(credits_taken))
  count_paid(account, ACCOUNT.paid, week, month, credits_taken)
  count_paid(account, ACCOUNT.paid_by_key .. key_digest, week, month, credits_taken)
  for _, choice in ipairs(choices) do
    choice.in_week = choice.in_week + credits_taken
    choice.in_month = choice.in_month + credits_taken
  end
end

for _, budget in ipairs(budgets) do
  local amounts = budget.amounts
  amounts.in_day, amounts.in_week = amounts.in_day + wanted_chats, amounts.in_week + wanted_chats
  amounts.in_month, amounts.in_all =
    amounts.in_month + wanted_chats, amounts.in_all + wanted_chats
  write_amounts(account, amounts)
  for _, limit in ipairs(budget.limits) do limit.used = limit.used + wanted_chats end
end

for _, pace in ipairs(paces) do
  if pace.a_minute then
    count_request(account, pace.field, pace.requests)
    pace.left, pace.frees_ms = left_of(pace.requests, pace.a_minute)
  end
  if pace.at_once and hold_ms > 0 then pace.open = pace.open + 1 end
end

local boosts_taken = table.concat(taken, ',')
local entry_id
if hold_ms > 0 then
  entry_id = ARGS.hold_id
  redis.call('ZADD', holds, whole(now + hold_ms), entry_id)
  redis.call('HSET', account, ACCOUNT.hold .. entry_id, TEXT.hold{week = whole(week),
    allowance = whole(from_allowance), boosts = boosts_taken, credits = whole(credits_taken),
    credit_chats = whole(from_credits), digest = key_digest, chats = whole(wanted_chats),
    cost = whole(cost), at_ms = whole(now), key_id = key_id, meter = meter})
  redis.call('HINCRBY', account, ACCOUNT.holding, 1)
else
  entry_id = redis.call('XADD', stream, '*', 'e', TEXT.entry{handle = handle, key_id = key_id,
    meter = meter, week = whole(week), allowance = whole(from_allowance), boosts = boosts_taken,
    credit_chats = whole(from_credits), credits = whole(credits_taken), at_ms = whole(now)},
    'n', ARGS.note)
end

local answer = answer_of(REASON.ok, from_allowance, boosts_taken, credits_taken, entry_id)
if replay then
  redis.call('SET', replay,
    cjson.encode({fingerprint = ARGS.fingerprint .. '|' .. key_id, reply = answer}),
    'PX', ARGS.replay_window_ms)
end
return answer
