-- KEYS: marker, one per letter; ARGV: what is kept of each, how long it stays.
for place = 2, #KEYS do
  redis.call('SET', KEYS[place], ARGV[3], 'PX', ARGV[4])
end
return 1
