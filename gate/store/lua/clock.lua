-- clock: the time that counts (ms since 1970), and its week. It is the server's: no caller's clock
-- decides when a hold runs out, a boost or key ends or a week begins. Only tests tell a time.
local function clock(told)
  local now = tonumber(told)
  if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return now, math.floor((now - FIRST_MONDAY_MS) / WEEK_MS)
end
