-- What is kept of an attempt is when that expires, and its verdict, or, while it is under way, a sign and who makes it.
local CLAIMED = '@'

-- The verdict in a kept text, unless there is none or it has expired.
local function verdict_of(kept, now)
  local expires_at, verdict = string.match(kept or '', '^(%-?%d+) (.*)$')
  if expires_at and tonumber(expires_at) > now and string.sub(verdict, 1, 1) ~= CLAIMED then
    return verdict
  end
end
