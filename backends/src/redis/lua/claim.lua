-- Reads the marker, which is made if the database is new. KEYS: marker, webhooks. ARGV: whether an
-- empty database is taken as a new one.
local marker = redis.call('HMGET', KEYS[1], 'generation', 'revision')
if not marker[1] then
  if redis.call('EXISTS', KEYS[2]) == 1 then
    return redis.error_reply('AWAY the database has webhooks and no marker: restore it, or set another prefix')
  end
  if ARGV[1] ~= '1' then
    return redis.error_reply('AWAY the database is empty: restore it, or start dockbell console or dockbell up, which set up a new one')
  end
  local now = redis.call('TIME')
  local generation = redis.sha1hex(now[1] .. '.' .. now[2] .. redis.call('INFO', 'server'))
  redis.call('HSET', KEYS[1], 'generation', generation, 'revision', 0)
  marker = { generation, '0' }
end
return { marker[1], marker[2] }
