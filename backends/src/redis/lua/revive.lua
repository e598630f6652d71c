-- Counts again what is about a webhook that was made anew. KEYS: marker, gone.
return redis.call('DEL', KEYS[2])
