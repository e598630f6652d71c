-- KEYS: marker, gone, standings; ARGV: the change, how many are kept, and for how long.
if redis.call('EXISTS', KEYS[2]) == 0 then
  keep_change(KEYS[3], ARGV[3], tonumber(ARGV[4]), ARGV[5])
end
return 1
