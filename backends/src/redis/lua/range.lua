-- The texts of the webhooks or tokens of a range of an index. KEYS: marker, webhooks or tokens, index; ARGV: from, to, limit.
local texts = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[3], ARGV[3], ARGV[4], 'LIMIT', 0, ARGV[5])) do
  local text = redis.call('HGET', KEYS[2], string.match(member, '%x+%.([%w_]+)$'))
  if text then
    texts[#texts + 1] = text
  end
end
return texts
