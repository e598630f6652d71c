-- The orders that have not expired. KEYS: marker, newest; ARGV: now, one field per tag.
local orders = {}
for place = 4, #ARGV do
  local kept = redis.call('HGET', KEYS[2], ARGV[place])
  local expires_at, order = string.match(kept or '', '^(%-?%d+) (.*)$')
  orders[place - 3] = expires_at and tonumber(expires_at) > tonumber(ARGV[3]) and order or false
end
return orders
