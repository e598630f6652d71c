-- `base` begins the names of all keys.

-- Every state of a delivery. Each has an index of that name.
local STATES = { 'delivered', 'retrying', 'parked', 'dead', 'superseded', 'skipped', 'expired' }

-- Takes the place of a delivery out of every index.
local function drop_place(base, place, webhook, state)
  redis.call('ZREM', base .. 'history', place)
  redis.call('ZREM', base .. 'history-until', place)
  if webhook then
    redis.call('ZREM', base .. 'history:' .. webhook, place)
  end
  for _, index in ipairs(state and { state } or STATES) do
    redis.call('ZREM', base .. index, place)
  end
end

-- Forgets a delivery of which the history knows the place. The server may have forgotten it before, and it
-- may have been made anew at another place, where it stays.
local function drop(base, place)
  local id = string.match(place, '%.(.+)$')
  local delivery = redis.call('HMGET', base .. 'delivery:' .. id, 'webhook', 'state', 'place')
  if delivery[3] == place then
    drop_place(base, place, delivery[1], delivery[2])
    redis.call('DEL', base .. 'delivery:' .. id, base .. 'attempts:' .. id)
  else
    drop_place(base, place, delivery[1], nil)
  end
end
