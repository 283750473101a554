-- put_catalogue: write a partition's copy of plans, packs, meters and the credit rate.
--
-- KEYS  1 catalogue hash   2 charge stream
-- ARGV  1 epoch of the partition   2 version of the catalogue   3 pushes that PostgreSQL knows of
--       4 id of the last drained charge   5… field, value, field, value
-- RETURNS {stored | older, pushes}
-- A higher epoch makes every account of the partition cold, so a lower one is never written.
-- `pushes` counts what was projected into the partition: a copy of Valkey with a lower count than
-- PostgreSQL remembers is an older copy, and stays recognisable as one until its epoch is raised.
-- With a new epoch, new charges get ids above what was drained, whatever the clock says: the drain
-- would pass over them otherwise.

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'version', 'pushes')
local epoch, version = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
local is_new_epoch = epoch ~= tonumber(ARGV[1])
local pushes = tonumber(stored[3] or '0')
if epoch > tonumber(ARGV[1]) or (epoch == tonumber(ARGV[1]) and version >= tonumber(ARGV[2])) then
  return {'older', pushes}
end
if is_new_epoch then pushes = math.max(pushes, tonumber(ARGV[3])) end
if pushes >= tonumber(ARGV[3]) then pushes = pushes + 1 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'version', ARGV[2], 'pushes', string.format('%.0f', pushes),
  unpack(ARGV, 5))

if not is_new_epoch then return {'stored', pushes} end

local function order(id)
  local milliseconds, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(milliseconds), tonumber(sequence)
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('XGROUP', 'CREATE', KEYS[2], 'made', '$', 'MKSTREAM')
  redis.call('XGROUP', 'DESTROY', KEYS[2], 'made')
end
local info = redis.call('XINFO', 'STREAM', KEYS[2])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    local ours, our_sequence = order(info[i + 1])
    local drained, drained_sequence = order(ARGV[4])
    if ours < drained or (ours == drained and our_sequence < drained_sequence) then
      redis.call('XSETID', KEYS[2], ARGV[4])
    end
  end
end
return {'stored', pushes}
