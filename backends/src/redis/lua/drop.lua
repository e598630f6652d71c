-- `base` begins the names of all keys.

-- The states of a delivery that have an index of that name. What was delivered is almost all of the history, and is
-- found there.
local STATES = { 'retrying', 'parked', 'dead', 'superseded', 'unchanged', 'skipped', 'expired' }

local function is_indexed(state)
  return state ~= 'delivered'
end

-- Notes in `leaving`, by key, that the place of a delivery is to go from every index.
local function leave(leaving, base, place, webhook, state)
  local indexes = not state and { unpack(STATES) } or is_indexed(state) and { state } or {}
  table.insert(indexes, 'history')
  table.insert(indexes, 'history-until')
  if webhook then
    table.insert(indexes, 'history:' .. webhook)
  end
  for _, index in ipairs(indexes) do
    local key = base .. index
    leaving[key] = leaving[key] or {}
    table.insert(leaving[key], place)
  end
end

-- Takes places out of their indexes, with one command for each index.
local function take_out(leaving)
  for key, places in pairs(leaving) do
    redis.call('ZREM', key, unpack(places))
  end
end

-- Forgets deliveries of which the history knows the places. The server may have forgotten one before, and it may have
-- been made anew at another place, where it stays.
local function drop(base, places)
  local leaving, gone = {}, {}
  for _, place in ipairs(places) do
    local id = string.match(place, '%.(.+)$')
    local delivery = redis.call('HMGET', base .. 'delivery:' .. id, 'webhook', 'state', 'place')
    local is_here = delivery[3] == place
    leave(leaving, base, place, delivery[1], is_here and delivery[2])
    if is_here then
      table.insert(gone, base .. 'delivery:' .. id)
    end
  end
  take_out(leaving)
  if #gone > 0 then
    redis.call('DEL', unpack(gone))
  end
end
