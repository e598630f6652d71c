-- What a receiver that wants changes alone was last told of a tag. KEYS: marker, told, the fields of it by their expiry,
-- gone; ARGV[3]: a table in JSON: now, until when what is kept is kept, for how long, as of which change of the webhook,
-- from when something will be sure that is not sure now, whether a person asked, and of each tag its field, its order and
-- its digest, which may be empty.
local a = cjson.decode(ARGV[3])
local is_gone = redis.call('EXISTS', KEYS[4]) == 1

-- What is kept of a tag; an empty digest is not known. `is_current` says that it is as of the same change of the webhook.
local function find(field)
  local text = redis.call('HGET', KEYS[2], field) or ''
  local until_text, sure_from, as_of, digest, order = string.match(text, '^(%-?%d+) (%-?%d+) (%-?%d+) (%S*) (.*)$')
  if until_text and tonumber(until_text) > tonumber(a.now) then
    return { order = order, digest = digest, sure_from = sure_from, is_current = as_of == a.as_of }
  end
end

local function keep(field, order, digest, sure_from)
  if is_gone then
    return
  end
  local text = table.concat({ a.kept_until, sure_from, a.as_of, digest, order }, ' ')
  redis.call('HSET', KEYS[2], field, text)
  redis.call('ZADD', KEYS[3], a.kept_until, field)
end

-- More than one tag adds, so that what has expired goes sooner than it comes.
local function bound()
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', a.now, 'LIMIT', 0, 4 * #a.tags)) do
    redis.call('HDEL', KEYS[2], field)
    redis.call('ZREM', KEYS[3], field)
  end
  redis.call('PEXPIRE', KEYS[2], a.bound)
  redis.call('PEXPIRE', KEYS[3], a.bound)
end
