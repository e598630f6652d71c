-- Keeps what a receiver reported, unless something is kept. KEYS: marker, callback, those of the webhook by when they were
-- made, gone; ARGV: the report, when it expires, how long it stays, now, its member, what the names of callbacks begin with, how many
-- there may be of a webhook. Returns what stands.
local now = ARGV[6]
local expires_at, kept = string.match(redis.call('GET', KEYS[2]) or '', '^(%-?%d+) (.*)$')
if expires_at and tonumber(expires_at) > tonumber(now) then
  return kept
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  return ARGV[3]
end
redis.call('ZADD', KEYS[3], now, ARGV[7])
redis.call('SET', KEYS[2], ARGV[4] .. ' ' .. ARGV[3], 'PX', ARGV[5])
for _, old in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1 - tonumber(ARGV[9]))) do
  redis.call('DEL', ARGV[8] .. old)
  redis.call('ZREM', KEYS[3], old)
end
-- As long as the last of them.
local longest = math.max(redis.call('PTTL', KEYS[3]), tonumber(ARGV[5]))
redis.call('PEXPIRE', KEYS[3], longest)
return ARGV[3]
