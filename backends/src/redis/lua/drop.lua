-- Forgets a delivery of which the history knows the place. `base` begins the names of all keys.
local function drop(base, place)
  local id = string.match(place, '%.(.+)$')
  local webhook = redis.call('HGET', base .. 'delivery:' .. id, 'webhook')
  if webhook then
    redis.call('ZREM', base .. 'history:' .. webhook, place)
  end
  for _, index in ipairs({ 'history', 'history-until', 'delivered', 'retrying', 'dead' }) do
    redis.call('ZREM', base .. index, place)
  end
  redis.call('DEL', base .. 'delivery:' .. id, base .. 'attempts:' .. id)
end
