-- Claims an attempt, unless it is settled or somebody else makes it. KEYS: marker, settled, claim; ARGV: now, who claims
-- it, until when, how long the server keeps that. Returns what came of it, and the verdict if it is settled.
local now = tonumber(ARGV[3])
local settled_until, verdict = string.match(redis.call('GET', KEYS[2]) or '', '^(%-?%d+) (.*)$')
if settled_until and tonumber(settled_until) > now then
  return { 'settled', verdict }
end
local held_until, holder = string.match(redis.call('GET', KEYS[3]) or '', '^(%-?%d+) (.*)$')
if holder and holder ~= ARGV[4] and tonumber(held_until) > now then
  return { 'held', '' }
end
redis.call('SET', KEYS[3], ARGV[5] .. ' ' .. ARGV[4], 'PX', ARGV[6])
return { 'ours', '' }
