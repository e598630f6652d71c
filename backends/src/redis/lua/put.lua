-- Puts a webhook in place of the text that the caller has read. KEYS: marker, webhooks, by age, by pattern,
-- removed, changes; ARGV: id, text before, text, place, pattern, length of the changes.
-- Returns whether it did, the text that stands there otherwise, the revision, whether there is a tombstone.
local id, expected, text, place, pattern = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local before = redis.call('HGET', KEYS[2], id) or ''
if before ~= expected then
  return { 0, before, 0, 0 }
end
local patterns = pattern
if before ~= '' then
  local old = cjson.decode(before)
  redis.call('ZREM', KEYS[3], old.place)
  redis.call('ZREM', KEYS[4], old.pattern .. '\n' .. old.place)
  if old.pattern ~= pattern then
    patterns = old.pattern .. '\n' .. pattern
  end
end
redis.call('HSET', KEYS[2], id, text)
redis.call('ZADD', KEYS[3], 0, place)
redis.call('ZADD', KEYS[4], 0, pattern .. '\n' .. place)
local was_removed = redis.call('ZSCORE', KEYS[5], id) and 1 or 0
local revision = redis.call('HINCRBY', KEYS[1], 'revision', 1)
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[8], '*', 'revision', revision, 'webhook', id, 'patterns', patterns)
return { 1, '', revision, was_removed }
