-- KEYS: marker, delivery; ARGV: the time up to which deliveries have expired.
local kept = redis.call('GET', KEYS[2])
local delivery = kept and parse(kept)
if not delivery or tonumber(delivery.last) <= tonumber(ARGV[3]) then
  return false
end
local number = tonumber(delivery.requests) + 1
delivery.requests = string.format('%.0f', number)
redis.call('SET', KEYS[2], format(delivery), 'KEEPTTL')
return number
