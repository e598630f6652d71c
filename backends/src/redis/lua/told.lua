-- What a receiver that wants changes alone was last told of a tag. KEYS: marker, told, the fields of it by their expiry,
-- gone; ARGV[3]: a table in JSON: now, until when what is kept is kept, for how long, whether a person asked, and of each
-- tag its field, its order and its digest, which may be empty.
local a = cjson.decode(ARGV[3])
local is_gone = redis.call('EXISTS', KEYS[4]) == 1

-- The order and the digest that are kept of a tag; an empty digest is not known.
local function find(field)
  local until_text, digest, order = string.match(redis.call('HGET', KEYS[2], field) or '', '^(%-?%d+) (%S*) (.*)$')
  if until_text and tonumber(until_text) > tonumber(a.now) then
    return order, digest
  end
end

local function keep(field, order, digest)
  if is_gone then
    return
  end
  redis.call('HSET', KEYS[2], field, a.kept_until .. ' ' .. digest .. ' ' .. order)
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
