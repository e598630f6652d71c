-- KEYS: marker, health.
return redis.call('HDEL', KEYS[2], 'skipped')
