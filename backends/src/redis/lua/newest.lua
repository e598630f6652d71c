-- Per tag, the latest of the orders that have not expired. KEYS: marker, newest; ARGV: now, one field per tag.
local orders = {}
for place = 4, #ARGV do
  local latest = false
  for _, standing in ipairs({ ' accepted', ' waits' }) do
    local kept = redis.call('HGET', KEYS[2], ARGV[place] .. standing)
    local expires_at, order = string.match(kept or '', '^(%-?%d+) (.*)$')
    if expires_at and tonumber(expires_at) > tonumber(ARGV[3]) and (not latest or order > latest) then
      latest = order
    end
  end
  orders[place - 3] = latest
end
return orders
