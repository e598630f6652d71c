-- The verdicts of attempts, or the marks of dead letters, that have not expired. KEYS: marker, one per attempt or
-- letter; ARGV: now.
local verdicts = {}
for place = 2, #KEYS do
  verdicts[place - 1] = verdict_of(redis.call('GET', KEYS[place]), tonumber(ARGV[3])) or false
end
return verdicts
