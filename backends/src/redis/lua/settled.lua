-- The verdicts of attempts, or the marks of dead letters, that have not expired. KEYS: marker, one per attempt or
-- letter; ARGV: now.
local verdicts = {}
for place = 2, #KEYS do
  local kept = redis.call('GET', KEYS[place])
  local expires_at, verdict = string.match(kept or '', '^(%-?%d+) (.*)$')
  verdicts[place - 1] = expires_at and tonumber(expires_at) > tonumber(ARGV[3]) and verdict or false
end
return verdicts
