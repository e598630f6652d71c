-- The counters of a webhook. They are kept as one text, separated by commas, in this order; last when the server was last told
-- for how long to keep what there is of the webhook. Times are microseconds, which a number of Lua holds exactly; as
-- a text they are written by `text` alone, because Lua would round them.
local FIELDS = { 'failures', 'since', 'failed', 'succeeded', 'failed_of', 'standing', 'from', 'level', 'successes',
  'skipped', 'renewed' }

local function text(number)
  return number and string.format('%.0f', number) or ''
end

local function health_of(kept)
  local health, number = { failures = 0, skipped = 0, failed_of = {}, standing = 'healthy' }, 0
  for value in string.gmatch((kept or '') .. ',', '([^,]*),') do
    number = number + 1
    local field = FIELDS[number]
    if field == 'failed_of' then
      for id in string.gmatch(value, '%S+') do
        table.insert(health.failed_of, id)
      end
    elseif field == 'standing' or field == 'renewed' then
      health[field] = value ~= '' and value or health[field]
    else
      health[field] = tonumber(value) or health[field]
    end
  end
  return health
end

local function read_health(key)
  return health_of(redis.call('GET', key))
end

-- Of a health in which an acceptance changes nothing but when the last one was: that, how many were skipped, and when the server
-- was last told; otherwise nothing.
local function well_of(kept)
  return string.match(kept or '', '^0,,,(%d*),,,,,,(%d+),(%d*)$')
end

-- Counts an acceptance of such a health, and returns it as it is told.
local function accept_well(key, succeeded, skipped, renewed, at)
  local told = '0,,,' .. text(math.max(tonumber(succeeded) or at, at)) .. ',,,,,,' .. skipped
  redis.call('SET', key, told .. ',' .. renewed, 'KEEPTTL')
  return told
end

-- What is told of a health, in the order of the fields; empty is what there is none of, and the standing of who is healthy.
local function texts_of(health)
  local texts = {}
  for place = 1, #FIELDS - 1 do
    texts[place] = text(tonumber(health[FIELDS[place]]))
  end
  texts[5] = table.concat(health.failed_of, ' ')
  texts[6] = health.standing ~= 'healthy' and health.standing or ''
  return texts
end

local function told_of(health)
  return table.concat(texts_of(health), ',')
end

local function copy_of(health)
  local copy = {}
  for field, value in pairs(health) do
    copy[field] = value
  end
  copy.failed_of = { unpack(health.failed_of) }
  return copy
end

local function write_health(key, health, bound)
  redis.call('SET', key, told_of(health) .. ',' .. (health.renewed or ''), 'PX', bound)
end

-- How many deliveries wait. What has expired is none of them, although it may still be there.
local function count_waiting(key, now)
  return redis.call('ZCOUNT', key, '(' .. now, '+inf')
end

local function make_healthy(health)
  health.failures, health.since, health.failed, health.failed_of = 0, nil, nil, {}
  health.standing, health.from, health.level, health.successes = 'healthy', nil, nil, nil
end
