-- Deliveries of an index, as `kept` says, newest first. KEYS: marker, index; ARGV: base, from, how many, state or nothing, the
-- time up to which they have expired, the most entries to look at, whether the index is the history of a webhook.
-- Returns where it stopped if more may follow, and the deliveries.
local base, from, wanted, state, gone = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local of_webhook = ARGV[9] == '1'

-- The history of a webhook is short, and in the order in which it was entered.
local function places_of_webhook()
  local places, last = {}, nil
  local all = redis.call('LRANGE', KEYS[2], 0, -1)
  table.sort(all, function(one, other) return one > other end)
  for _, place in ipairs(all) do
    if place ~= last and (from == '+' or place < string.sub(from, 2)) then
      places[#places + 1] = place
    end
    last = place
  end
  return places
end

local found, looked = {}, 0
while #found < wanted and looked < tonumber(ARGV[8]) do
  local places = of_webhook and places_of_webhook() or redis.call('ZREVRANGEBYLEX', KEYS[2], from, '-', 'LIMIT', 0, wanted)
  if #places == 0 then
    return { '', found }
  end
  for _, place in ipairs(places) do
    looked = looked + 1
    from = '(' .. place
    local kept = redis.call('GET', base .. 'kept:' .. id_of(place))
    local _, its_state, its_place, last = head_of(kept or '')
    if its_place == place and tonumber(last) > gone and (state == '' or its_state == state) and #found < wanted then
      found[#found + 1] = kept
    end
  end
end
return { string.sub(from, 2), found }
