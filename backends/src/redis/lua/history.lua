-- Deliveries of an index, newest first. KEYS: marker, index; ARGV: base, from, how many, state or nothing, the
-- time up to which they have expired, the most entries to look at.
-- Returns where it stopped if more may follow, and the deliveries.
local base, from, wanted, state, gone = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local found, looked = {}, 0
while #found < wanted and looked < tonumber(ARGV[8]) do
  local places = redis.call('ZREVRANGEBYLEX', KEYS[2], from, '-', 'LIMIT', 0, wanted)
  if #places == 0 then
    return { '', found }
  end
  for _, place in ipairs(places) do
    looked = looked + 1
    from = '(' .. place
    local delivery = redis.call('HMGET', base .. 'delivery:' .. string.match(place, '%.(.+)$'), 'place', 'webhook',
      'request', 'ordinal', 'not_before', 'content', 'state', 'first', 'last', 'next', 'custody', 'parked')
    if delivery[1] == place and tonumber(delivery[9]) > gone and (state == '' or delivery[7] == state) and #found < wanted then
      found[#found + 1] = delivery
    end
  end
end
return { string.sub(from, 2), found }
