-- One delivery and its attempts, unless it has expired. KEYS: marker, delivery, attempts; ARGV: the time up to
-- which deliveries have expired.
local delivery = redis.call('HMGET', KEYS[2], 'place', 'webhook', 'request', 'ordinal', 'not_before', 'content',
  'state', 'first', 'last', 'next', 'custody', 'parked')
if not delivery[1] or tonumber(delivery[9]) <= tonumber(ARGV[3]) then
  return { {}, {} }
end
return { delivery, redis.call('HVALS', KEYS[3]) }
