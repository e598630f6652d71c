-- KEYS: marker, health.
return redis.call('HMGET', KEYS[2], 'failures', 'since', 'succeeded')
