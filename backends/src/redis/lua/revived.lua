-- Forgets the tombstone of a webhook, unless that was removed once more. KEYS: marker, webhooks, removed; ARGV: id.
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then
  redis.call('ZREM', KEYS[3], ARGV[3])
end
return 1
