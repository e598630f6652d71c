-- Forgets what was counted of a webhook that was removed. KEYS: marker, gone, history of the webhook, its callbacks, and
-- what else is kept of it; ARGV: base, how long the tombstone stays.
local changes = {}
drop(changes, ARGV[3], redis.call('LRANGE', KEYS[3], 0, -1), true)
carry_out(changes)
for _, callback in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  redis.call('DEL', ARGV[3] .. 'callback:' .. callback)
end
redis.call('DEL', unpack(KEYS, 3))
redis.call('SET', KEYS[2], 1, 'PX', ARGV[4])
return 1
