-- Whether an attempt may be made of a webhook that is not healthy. KEYS: marker, health, trials, settled; ARGV: now, attempt,
-- until when it is under way, how many may be while the webhook recovers, how long the server keeps them.
local now, attempt, health = tonumber(ARGV[3]), ARGV[4], read_health(KEYS[2])
if health.standing == 'healthy' then
  return 1
end
local under_way = tonumber(redis.call('ZSCORE', KEYS[3], attempt) or '')
if under_way and under_way > now then
  return 1
end
-- A question that was held up must not take a place for what was recorded since.
if verdict_of(redis.call('GET', KEYS[4]), now) then
  return 0
end
local limit = tonumber(ARGV[6])
if health.standing == 'suspended' then
  limit = now >= health.from and 1 or 0
end
if redis.call('ZCOUNT', KEYS[3], '(' .. ARGV[3], '+inf') >= limit then
  return 0
end
redis.call('ZADD', KEYS[3], ARGV[5], attempt)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[7])
return 1
