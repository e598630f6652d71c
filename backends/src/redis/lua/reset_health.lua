-- Makes a webhook healthy and forgets its failures. KEYS: marker, gone, health, trials; ARGV: how long the server
-- keeps it.
if redis.call('EXISTS', KEYS[2]) == 0 then
  local health = read_health(KEYS[3])
  make_healthy(health)
  write_health(KEYS[3], health, ARGV[3])
  redis.call('DEL', KEYS[4])
end
return 1
