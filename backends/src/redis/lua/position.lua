-- Where the changes stand. KEYS: marker, changes.
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return { redis.call('HGET', KEYS[1], 'revision'), last[1] and last[1][1] or '0-0' }
