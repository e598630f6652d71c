-- One delivery and its attempts, unless it has expired. KEYS: marker, delivery; ARGV: the time up to
-- which deliveries have expired.
local delivery = redis.call('HMGET', KEYS[2], 'place', 'webhook', 'request', 'ordinal', 'not_before', 'content',
  'state', 'first', 'last', 'next', 'custody', 'parked')
if not delivery[1] or tonumber(delivery[9]) <= tonumber(ARGV[3]) then
  return { {}, {} }
end
local fields, attempts = redis.call('HGETALL', KEYS[2]), {}
for place = 1, #fields, 2 do
  if is_attempt(fields[place]) then
    table.insert(attempts, fields[place + 1])
  end
end
return { delivery, attempts }
