-- count: say what a key or member used so far, so that it can be counted from now on.
--
-- Told is what PostgreSQL has, and up to which entry of the stream. What is charged and not there
-- yet is added here, at the very moment from which on `check` counts: entries that came since, and
-- holds, of which those that ran out are given back by whatever releases them. Nothing may drain
-- the partition meanwhile: what it trims would be missing here.
-- Answers counted | already (somebody else said it) | cold | cold_catalogue | stale_epoch
-- | too_many (more entries came than are read at once: it must be drained again).
-- Writes d:<key id> or w:<member id>.

local AT_ONCE = 5000
local account, catalogue = NAMES.account, NAMES.catalogue
local epoch = redis.call('HGET', catalogue, CATALOGUE.epoch)
if not epoch then return {OUTCOME.cold_catalogue} end
if epoch ~= ARGS.epoch then return {OUTCOME.stale_epoch} end
if redis.call('HGET', account, ACCOUNT.epoch) ~= epoch then return {OUTCOME.cold} end

local before = read_amounts(account, ARGS.field)
if before and before.member == ARGS.member then return {OUTCOME.already} end

redis.call('HSET', account, ARGS.field, ARGS.amounts)
local amounts = read_amounts(account, ARGS.field)
amounts.member = ARGS.member
local is_counted = {}
for i = FIRST.key_ids, #ARGV do is_counted[ARGV[i]] = true end

local entries = redis.call('XRANGE', NAMES.stream, '(' .. ARGS.drained_id, '+',
  'COUNT', AT_ONCE + 1)
if #entries > AT_ONCE then
  redis.call('HDEL', account, ARGS.field)
  return {OUTCOME.too_many}
end
for _, entry in ipairs(entries) do
  local fields = entry[2]
  for at = 1, #fields, 2 do
    if fields[at] == 'e' then
      local entry_handle, entry_key_id, entry_meter, entry_week, entry_allowance, entry_boosts,
        entry_credit_chats, entry_credits, entry_at_ms = MATCH.entry(fields[at + 1])
      if entry_handle == ARGS.handle and is_counted[entry_key_id] then
        local chats = tonumber(entry_allowance) + tonumber(entry_credit_chats)
        for taken_id, taken_chats in EACH.taken(entry_boosts) do
          chats = chats + tonumber(taken_chats)
        end
        add_chats(amounts, tonumber(entry_week), tonumber(entry_at_ms), chats)
      end
    end
  end
end
for _, id in ipairs(redis.call('ZRANGE', NAMES.holds, 0, -1)) do
  local text = redis.call('HGET', account, ACCOUNT.hold .. id)
  local hold = text and read_hold(text)
  if hold and is_counted[hold.key_id] then
    add_chats(amounts, hold.week, tonumber(hold.at_ms), hold.chats)
  end
end
write_amounts(account, amounts)
return {OUTCOME.counted}
