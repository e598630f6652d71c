-- Removes a token. KEYS: marker, tokens, by age, by expiry; ARGV: id. Returns whether there was one.
local id = ARGV[3]
local text = redis.call('HGET', KEYS[2], id)
if not text then
  return 0
end
redis.call('ZREM', KEYS[3], cjson.decode(text).place)
redis.call('ZREM', KEYS[4], id)
return redis.call('HDEL', KEYS[2], id)
