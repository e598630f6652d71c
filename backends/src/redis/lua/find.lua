-- The text of a webhook or token. KEYS: marker, webhooks or tokens; ARGV: id.
return redis.call('HGET', KEYS[2], ARGV[3])
