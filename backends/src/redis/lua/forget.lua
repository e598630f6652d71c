-- Forgets what was counted of a webhook that was removed. KEYS: marker, gone, health, newest, newest-until,
-- history of the webhook; ARGV: base, how long the tombstone stays.
for _, place in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  drop(ARGV[3], place)
end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5], KEYS[6])
redis.call('SET', KEYS[2], 1, 'PX', ARGV[4])
return 1
