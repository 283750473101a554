-- periods: the days, weeks and months that are counted by, in UTC. Loaded before what counts.

local function whole(number) return string.format('%.0f', number) end

local DAY_MS = 86400000

-- The day of a moment (ms since 1970), from 1970 on, and its end.
local function day_of(ms) return math.floor(ms / DAY_MS) end
local function day_ends(day) return (day + 1) * DAY_MS end

-- The end of a week (ms since 1970).
local function week_ends(week) return (week + 1) * WEEK_MS + FIRST_MONDAY_MS end

-- The calendar month of a moment (ms since 1970), in UTC: year * 12 + month, January being 0.
-- Of years that begin in March, of which the leap day is the last.
local function month_of(ms)
  local day = math.floor(ms / DAY_MS) + 719468
  local era = math.floor(day / 146097)
  local of_era = day - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  return (year + era * 400) * 12 + math.floor((5 * of_year + 2) / 153) + 2
end

-- The end of a month (ms since 1970).
local function month_ends(month)
  local from_march = month - 1
  local year, of_year = math.floor(from_march / 12), from_march % 12
  local day = year * 365 + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * of_year + 2) / 5)
  return (day - 719468) * DAY_MS
end
