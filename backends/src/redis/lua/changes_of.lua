-- KEYS: marker, standings.
return redis.call('LRANGE', KEYS[2], 0, -1)
