-- put_catalogue: write a partition's copy of plans, packs, meters and the credit rate.
--
-- Fields and their values come in turn. Answers pushed: stored | older.
-- A higher epoch makes every account of the partition cold, so a lower one is never written.
-- `pushes` counts what was projected into the partition: a copy of Valkey with a lower count than
-- PostgreSQL remembers is an older copy, and stays recognisable as one until its epoch is raised.
-- With a new epoch, new charges get ids above what was drained, whatever the clock says: the drain
-- would pass over them otherwise.

local catalogue, stream = NAMES.catalogue, NAMES.stream
local stored = redis.call('HMGET', catalogue, CATALOGUE.epoch, CATALOGUE.version, CATALOGUE.pushes)
local epoch, version = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
local is_new_epoch = epoch ~= tonumber(ARGS.epoch)
local pushes = tonumber(stored[3] or '0')
if epoch > tonumber(ARGS.epoch)
  or (epoch == tonumber(ARGS.epoch) and version >= tonumber(ARGS.version)) then
  return PUSHED{status = OUTCOME.older, pushes = pushes}
end
if is_new_epoch then pushes = math.max(pushes, tonumber(ARGS.pushes)) end
if pushes >= tonumber(ARGS.pushes) then pushes = pushes + 1 end
redis.call('DEL', catalogue)
redis.call('HSET', catalogue, CATALOGUE.epoch, ARGS.epoch, CATALOGUE.version, ARGS.version,
  CATALOGUE.pushes, string.format('%.0f', pushes), unpack(ARGV, FIRST.fields))

if not is_new_epoch then return PUSHED{status = OUTCOME.stored, pushes = pushes} end

local function order(id)
  local milliseconds, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(milliseconds), tonumber(sequence)
end
if redis.call('EXISTS', stream) == 0 then
  redis.call('XGROUP', 'CREATE', stream, 'made', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', stream, 'made')
end
local info = redis.call('XINFO', 'STREAM', stream)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    local ours, our_sequence = order(info[i + 1])
    local drained, drained_sequence = order(ARGS.drained_id)
    if ours < drained or (ours == drained and our_sequence < drained_sequence) then
      redis.call('XSETID', stream, ARGS.drained_id)
    end
  end
end
return PUSHED{status = OUTCOME.stored, pushes = pushes}
