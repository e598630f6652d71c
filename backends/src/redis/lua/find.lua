-- The text of a webhook. KEYS: marker, webhooks; ARGV: id.
return redis.call('HGET', KEYS[2], ARGV[3])
