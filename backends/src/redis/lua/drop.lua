-- `base` begins the names of all keys.

-- Every state of a delivery. Each has an index of that name.
local STATES = { 'delivered', 'retrying', 'parked', 'dead', 'superseded', 'unchanged', 'skipped', 'expired' }

-- Notes in `leaving`, by key, that the place of a delivery is to go from every index.
local function leave(leaving, base, place, webhook, state)
  local indexes = state and { state } or { unpack(STATES) }
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
      table.insert(gone, base .. 'attempts:' .. id)
    end
  end
  take_out(leaving)
  if #gone > 0 then
    redis.call('DEL', unpack(gone))
  end
end
