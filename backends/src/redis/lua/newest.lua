-- Per tag, the latest of the orders that have not expired. KEYS: marker, the newest of this generation and of the one before;
-- ARGV: now, one field per tag.
local orders = {}
for place = 4, #ARGV do
  local latest = false
  for generation = 2, 3 do
    for _, kept in ipairs(redis.call('HMGET', KEYS[generation], ARGV[place] .. ' accepted', ARGV[place] .. ' waits')) do
      local expires_at, order = string.match(kept or '', '^(%-?%d+) (.*)$')
      if expires_at and tonumber(expires_at) > tonumber(ARGV[3]) and (not latest or order > latest) then
        latest = order
      end
    end
  end
  orders[place - 3] = latest
end
return orders
