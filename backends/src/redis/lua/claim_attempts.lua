-- Claims attempts, unless they are settled or somebody else makes them. KEYS: marker, one per attempt; ARGV: now, and of
-- each who claims it, until when, and how long the server keeps that. Returns what came of each, or the verdict if it is
-- settled.
local now, answers = tonumber(ARGV[3]), {}
for place = 2, #KEYS do
  local holder, until_text, bound = unpack(ARGV, 3 * place - 2, 3 * place)
  local claim, answer = until_text .. ' ' .. CLAIMED .. holder, 'ours'
  local before = redis.call('SET', KEYS[place], claim, 'PX', bound, 'NX', 'GET')
  if before then
    local expires_at, kept = string.match(before, '^(%-?%d+) (.*)$')
    if tonumber(expires_at) <= now or kept == CLAIMED .. holder then
      redis.call('SET', KEYS[place], claim, 'PX', bound)
    else
      answer = string.sub(kept, 1, 1) == CLAIMED and 'held' or kept
    end
  end
  answers[place - 1] = answer
end
return answers
