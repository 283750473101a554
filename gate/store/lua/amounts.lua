-- amounts: what a key, and a member by all their keys, used in a day, a week, a month and in all.
--
-- Counted only for those who have a budget, from the moment on at which `count` said what there was
-- before. Those of a key say of which member they are, where that one has a budget, too.

local function read_amounts(account, field)
  local amounts_day, amounts_in_day, amounts_week, amounts_in_week, amounts_month,
    amounts_in_month, amounts_in_all, amounts_member =
      MATCH.amounts(redis.call('HGET', account, field) or '')
  if not amounts_day then return nil end
  return {field = field, day = tonumber(amounts_day), in_day = tonumber(amounts_in_day),
    week = tonumber(amounts_week), in_week = tonumber(amounts_in_week),
    month = tonumber(amounts_month), in_month = tonumber(amounts_in_month),
    in_all = tonumber(amounts_in_all), member = amounts_member}
end

local function write_amounts(account, amounts)
  redis.call('HSET', account, amounts.field, TEXT.amounts{day = whole(amounts.day),
    in_day = whole(amounts.in_day), week = whole(amounts.week), in_week = whole(amounts.in_week),
    month = whole(amounts.month), in_month = whole(amounts.in_month),
    in_all = whole(amounts.in_all), member = amounts.member})
end

-- Let the periods of a moment count. One that has ended is never reopened.
local function enter_periods(amounts, day, week, month)
  if day > amounts.day then amounts.day, amounts.in_day = day, 0 end
  if week > amounts.week then amounts.week, amounts.in_week = week, 0 end
  if month > amounts.month then amounts.month, amounts.in_month = month, 0 end
end

-- More chats, or fewer of a charge that gives some back, in the periods of the charge that still
-- count.
local function add_chats(amounts, charge_week, charged_ms, chats)
  local day, month = day_of(charged_ms), month_of(charged_ms)
  if chats > 0 then enter_periods(amounts, day, charge_week, month) end
  if day == amounts.day then amounts.in_day = math.max(0, amounts.in_day + chats) end
  if charge_week == amounts.week then amounts.in_week = math.max(0, amounts.in_week + chats) end
  if month == amounts.month then amounts.in_month = math.max(0, amounts.in_month + chats) end
  amounts.in_all = math.max(0, amounts.in_all + chats)
end

-- Chats came back to a key, and to the member whose it is.
local function uncount_chats(account, key_id, charge_week, charged_ms, chats)
  local amounts = read_amounts(account, ACCOUNT.amounts_of_key .. key_id)
  if not amounts then return end
  add_chats(amounts, charge_week, charged_ms, -chats)
  write_amounts(account, amounts)
  if amounts.member == '' then return end
  local of_member = read_amounts(account, ACCOUNT.amounts_of_member .. amounts.member)
  if of_member then
    add_chats(of_member, charge_week, charged_ms, -chats)
    write_amounts(account, of_member)
  end
end
