-- pace: how many requests were let through lately, for check alone. Loaded before check_rest.
--
-- They are counted by the second of the clock. A second counts until 60 whole ones have passed
-- after it, so that never more pass than may in any 60 seconds; and it leaves at a whole second,
-- which is what Retry-After can say. What is counted stays so, whatever becomes of the request.

local MINUTE = 60
-- Up to so many fields Valkey may keep a hash as a list, in which each field is searched for.
local SMALL = 512

-- What still counts of the requests of an account or key: all together, those of the last second
-- in which there were some, and those of earlier ones as text.
local function read_requests(account, field, now)
  local counted =
    {now = math.floor(now / 1000), together = 0, second = 0, requests = 0, earlier = ''}
  local requests_together, requests_second, requests_in_second, requests_earlier =
    MATCH.requests(redis.call('HGET', account, field) or '')
  if not requests_together then return counted end
  local second = tonumber(requests_second)
  -- Where a server took over whose clock runs behind, nobody waits for it to catch up.
  if second < counted.now - MINUTE or second > counted.now + MINUTE then return counted end
  counted.together, counted.second = tonumber(requests_together), second
  counted.requests, counted.earlier = tonumber(requests_in_second), requests_earlier
  for lately_second, lately_requests in EACH.lately(requests_earlier) do
    if tonumber(lately_second) >= counted.now - MINUTE then break end
    counted.together = counted.together - tonumber(lately_requests)
    local comma = string.find(counted.earlier, ',', 1, true)
    counted.earlier = comma and string.sub(counted.earlier, comma + 1) or ''
  end
  return counted
end

-- One more was let through.
local function count_request(account, field, counted)
  -- A second that has ended is never reopened.
  if counted.together > 0 and counted.second >= counted.now then
    counted.requests = counted.requests + 1
  else
    if counted.together > 0 then
      counted.earlier = counted.earlier .. (counted.earlier == '' and '' or ',')
        .. TEXT.lately{second = whole(counted.second), requests = whole(counted.requests)}
    end
    counted.second, counted.requests = counted.now, 1
  end
  counted.together = counted.together + 1
  redis.call('HSET', account, field,
    TEXT.requests{together = whole(counted.together), second = whole(counted.second),
      in_second = whole(counted.requests), earlier = counted.earlier})
end

-- How many a limit lets through now, and when it lets through more; 0 where it cannot.
local function left_of(counted, a_minute)
  local left, together = math.max(0, a_minute - counted.together), counted.together
  for lately_second, lately_requests in EACH.lately(counted.earlier) do
    together = together - tonumber(lately_requests)
    if a_minute - together > left then
      return left, (tonumber(lately_second) + MINUTE + 1) * 1000
    end
  end
  if together == 0 or a_minute <= left then return left, 0 end
  return left, (counted.second + MINUTE + 1) * 1000
end

-- How many holds of a key are open.
local function open_of_key(account, holds, key_digest)
  local texts
  if redis.call('HLEN', account) <= SMALL then
    texts = redis.call('HVALS', account)
  else
    local fields = redis.call('ZRANGE', holds, 0, -1)
    if #fields == 0 then return 0 end
    for i, id in ipairs(fields) do fields[i] = ACCOUNT.hold .. id end
    texts = redis.call('HMGET', account, unpack(fields))
  end
  -- Looked for and not taken apart: there may be a thousand, and only holds name a digest.
  local open, of_key = 0, '|' .. key_digest .. '|'
  for _, text in ipairs(texts) do
    if text and string.find(text, of_key, 1, true) then open = open + 1 end
  end
  return open
end
