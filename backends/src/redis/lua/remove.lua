-- Removes a webhook and leaves a tombstone. KEYS: as for put; ARGV: id, now, the time before which tombstones
-- are forgotten, length of the changes. Returns whether there was one, and the revision.
local id = ARGV[3]
local before = redis.call('HGET', KEYS[2], id)
if not before then
  return { 0, tonumber(redis.call('HGET', KEYS[1], 'revision')) }
end
local old = cjson.decode(before)
redis.call('HDEL', KEYS[2], id)
redis.call('ZREM', KEYS[3], old.place)
redis.call('ZREM', KEYS[4], old.pattern .. '\n' .. old.place)
redis.call('ZADD', KEYS[5], ARGV[4], id)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', ARGV[5])
local revision = redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[6], '*', 'revision', revision, 'webhook', id, 'patterns', old.pattern)
return { 1, revision }
