-- put_catalogue: write a partition's copy of plans, packs, meters and the credit rate.
--
-- KEYS  1 catalogue hash
-- ARGV  1 epoch of the partition   2 version of the catalogue   3… field, value, field, value
-- RETURNS stored | older
-- A higher epoch makes every account of the partition cold, so a lower one is never written.

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'version')
local epoch, version = tonumber(stored[1] or '-1'), tonumber(stored[2] or '-1')
if epoch > tonumber(ARGV[1]) then return 'older' end
if epoch == tonumber(ARGV[1]) and version >= tonumber(ARGV[2]) then return 'older' end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'version', ARGV[2], unpack(ARGV, 3))
return 'stored'
