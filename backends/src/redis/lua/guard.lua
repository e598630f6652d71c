-- KEYS[1]: the marker; ARGV[1]: the generation it must name, or nothing where there is no marker;
-- ARGV[2]: the revision that was seen last.
if ARGV[1] ~= '' then
  local marker = redis.call('HMGET', KEYS[1], 'generation', 'revision')
  if not marker[1] then
    return redis.error_reply('AWAY the database has lost its marker')
  elseif marker[1] ~= ARGV[1] then
    return redis.error_reply('AWAY the database is another one')
  elseif tonumber(marker[2]) < tonumber(ARGV[2]) then
    return redis.error_reply('AWAY the database is older than it was')
  end
end
