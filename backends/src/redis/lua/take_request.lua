-- KEYS: marker, delivery; ARGV: the time up to which deliveries have expired.
local last = redis.call('HGET', KEYS[2], 'last')
if not last or tonumber(last) <= tonumber(ARGV[3]) then
  return false
end
return redis.call('HINCRBY', KEYS[2], 'requests', 1)
