-- The counters of a webhook. Times are microseconds, which a number of Lua holds exactly; as a text they are
-- written by `text` alone, because Lua would round them.
local FIELDS = { 'failures', 'since', 'failed', 'succeeded', 'failed_of', 'standing', 'from', 'level', 'successes',
  'skipped' }
local SUCCEEDED, SKIPPED = 4, 10
-- And when the server was last told for how long to keep what there is of the webhook.
local FIELDS_AND_RENEWED = { unpack(FIELDS) }
table.insert(FIELDS_AND_RENEWED, 'renewed')

local function text(number)
  return number and string.format('%.0f', number) or ''
end

local function health_of(kept)
  local health = { failures = 0, skipped = 0, failed_of = {}, standing = kept[6] or 'healthy' }
  for place, field in ipairs(FIELDS) do
    if field ~= 'failed_of' and field ~= 'standing' then
      health[field] = tonumber(kept[place] or '') or health[field]
    end
  end
  for id in string.gmatch(kept[5] or '', '%S+') do
    table.insert(health.failed_of, id)
  end
  return health
end

local function read_health(key)
  return health_of(redis.call('HMGET', key, unpack(FIELDS)))
end

-- Whether an acceptance changes nothing but when the last one was.
local function is_well(kept)
  return (not kept[1] or kept[1] == '0') and not kept[2] and not kept[3] and not kept[5] and not kept[6]
end

-- The fields of such a health, as one text.
local function text_of_well(succeeded, skipped)
  return '0,,,' .. succeeded .. ',,,,,,' .. (skipped or '0')
end

-- The fields in their order; empty is what there is none of, and the standing of who is healthy.
local function texts_of(health)
  local texts = {}
  for place, field in ipairs(FIELDS) do
    texts[place] = text(tonumber(health[field]))
  end
  texts[5] = table.concat(health.failed_of, ' ')
  texts[6] = health.standing ~= 'healthy' and health.standing or ''
  return texts
end

local function copy_of(health)
  local copy = {}
  for field, value in pairs(health) do
    copy[field] = value
  end
  copy.failed_of = { unpack(health.failed_of) }
  return copy
end

-- Writes what differs from the health that was read.
local function write_health(key, before, health, bound)
  local kept, gone, was = {}, {}, texts_of(before)
  for place, value in ipairs(texts_of(health)) do
    if value ~= was[place] and value == '' then
      table.insert(gone, FIELDS[place])
    elseif value ~= was[place] then
      table.insert(kept, FIELDS[place])
      table.insert(kept, value)
    end
  end
  if #kept > 0 then
    redis.call('HSET', key, unpack(kept))
  end
  if #gone > 0 then
    redis.call('HDEL', key, unpack(gone))
  end
  redis.call('PEXPIRE', key, bound)
end

-- How many deliveries wait. What has expired is none of them, although it may still be there.
local function count_waiting(key, now)
  return redis.call('ZCOUNT', key, '(' .. now, '+inf')
end

local function make_healthy(health)
  health.failures, health.since, health.failed, health.failed_of = 0, nil, nil, {}
  health.standing, health.from, health.level, health.successes = 'healthy', nil, nil, nil
end
