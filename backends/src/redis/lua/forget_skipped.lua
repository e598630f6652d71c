-- KEYS: marker, health; ARGV: how long the server keeps it.
if redis.call('EXISTS', KEYS[2]) == 1 then
  local health = read_health(KEYS[2])
  health.skipped = 0
  write_health(KEYS[2], health, ARGV[3])
end
return 1
