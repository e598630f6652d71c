-- Makes or replaces a token, and forgets some whose time has long been over. KEYS: marker, tokens, by age, by expiry;
-- ARGV: id, text, place, when its time is over (or nothing), the time before which those that were over are forgotten.
local function leave_lists(id, text)
  if text then
    redis.call('ZREM', KEYS[3], cjson.decode(text).place)
  end
  redis.call('ZREM', KEYS[4], id)
end
local id = ARGV[3]
local before = redis.call('HGET', KEYS[2], id)
-- The first that is written: a server without memory refuses it, and with it all.
redis.call('HSET', KEYS[2], id, ARGV[4])
leave_lists(id, before)
redis.call('ZADD', KEYS[3], 0, ARGV[5])
if ARGV[6] ~= '' then
  redis.call('ZADD', KEYS[4], ARGV[6], id)
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', ARGV[7], 'LIMIT', 0, 100)) do
  leave_lists(old, redis.call('HGET', KEYS[2], old))
  redis.call('HDEL', KEYS[2], old)
end
