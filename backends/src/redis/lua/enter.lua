-- Enters an attempt, or a delivery that waits without one. KEYS: marker, settled, gone, health, waiting, trials,
-- standings, newest, newest-until, history of the webhook, delivery, attempts, history, history-until, and one index
-- per state; ARGV: a table in JSON, whose times and counts are texts, because Lua would round them; the content of the
-- delivery; what only one of the callers has.
local a = cjson.decode(ARGV[3])
local now, at = tonumber(a.now), tonumber(a.at)

local of_webhook, history, history_until = KEYS[10], KEYS[13], KEYS[14]
local states = {}
for place, state in ipairs(STATES) do
  states[state] = KEYS[14 + place]
end

-- The verdict of the attempt, if it is settled.
local function find_verdict()
  local expires_at, verdict = string.match(redis.call('GET', KEYS[2]) or '', '^(%-?%d+) (.*)$')
  return expires_at and tonumber(expires_at) > now and verdict
end

-- Puts the delivery into the indexes at `place`, or only moves it between states. What takes memory comes first:
-- a script that has written anything is not refused any more.
local function list(place, before, state)
  if not before then
    redis.call('ZADD', of_webhook, 0, place)
    redis.call('ZADD', history, 0, place)
  end
  if before ~= state then
    redis.call('ZADD', states[state], 0, place)
    if before then
      redis.call('ZREM', states[before], place)
    end
  end
end

-- The delivery as it is kept: what it is about, and numbers where there are any.
local function find_delivery()
  local kept = redis.call('HMGET', KEYS[11], 'last', 'first', 'place', 'requests', 'state', 'request', 'ordinal')
  return kept[1] and { last = tonumber(kept[1]), first = tonumber(kept[2]), place = kept[3],
    requests = tonumber(kept[4]), state = kept[5], request = kept[6], ordinal = tonumber(kept[7]) }
end

-- Brings the delivery up to date, unless it is known better already; then only its beginning may be earlier.
local function update_delivery(old, is_late)
  local first, place, before = old and old.first or at, old and old.place or a.place, old and old.state
  if old and at < first and not a.keeps_first then
    local leaving = {}
    leave(leaving, a.base, place, a.webhook, before)
    take_out(leaving)
    first, place, before = at, a.place, nil
  end
  local requests = math.max(old and old.requests or 0, tonumber(a.request))
  local last = old and math.max(old.last, at) or at
  if is_late then
    list(place, before, old.state)
    redis.call('HSET', KEYS[11], 'place', place, 'first', text(first), 'requests', requests)
  else
    last = a.keeps_first and last or at
    list(place, before, a.state)
    redis.call('HSET', KEYS[11], 'webhook', a.webhook, 'place', place, 'first', text(first), 'requests', requests,
      'last', text(last), 'state', a.state, 'request', a.request, 'ordinal', a.ordinal, 'content', ARGV[4],
      'next', a.next, 'not_before', a.not_before, 'custody', a.custody, 'parked', a.parked)
  end
  redis.call('ZADD', history_until, text(last), place)
end

-- Forgets what is beyond the bounds of the history: that of a webhook is cut back once it is too long by some.
local function bound_history()
  for _, key in ipairs({ of_webhook, KEYS[11], KEYS[12] }) do
    redis.call('PEXPIRE', key, a.history_bound)
  end
  if redis.call('ZCARD', of_webhook) > a.history_limit + a.history_slack then
    drop(a.base, redis.call('ZRANGE', of_webhook, 0, -1 - a.history_limit))
  end
  -- More than one entry adds, so that what has expired goes sooner than it comes.
  drop(a.base, redis.call('ZRANGEBYSCORE', history_until, '-inf', a.history_until, 'LIMIT', 0, 4))
end

-- The order that is kept in a field of the newest, unless it has expired.
local function kept_order(field)
  local until_text, order = string.match(redis.call('HGET', KEYS[8], field) or '', '^(%-?%d+) (.*)$')
  return until_text and tonumber(until_text) > now and order
end

-- `standing` says why an order is the newest of its tag: what was accepted stays so, what waits may still be
-- given up.
local function raise_newest(standing)
  for _, pair in ipairs(a.newest) do
    local field, order = pair[1] .. standing, pair[2]
    local kept = kept_order(field)
    if kept and kept > order then
      order = kept
    end
    redis.call('HSET', KEYS[8], field, a.newest_until .. ' ' .. order)
    redis.call('ZADD', KEYS[9], a.newest_until, field)
  end
  local old = redis.call('ZRANGEBYSCORE', KEYS[9], '-inf', a.now, 'LIMIT', 0, 4 * #a.newest)
  for _, field in ipairs(old) do
    redis.call('HDEL', KEYS[8], field)
    redis.call('ZREM', KEYS[9], field)
  end
  redis.call('PEXPIRE', KEYS[8], a.newest_bound)
  redis.call('PEXPIRE', KEYS[9], a.newest_bound)
end

-- What waited withholds nothing any more for that.
local function forget_waiting()
  for _, pair in ipairs(a.newest) do
    local field, order = pair[1] .. ' waits', pair[2]
    if string.match(redis.call('HGET', KEYS[8], field) or '', ' (.*)$') == order then
      redis.call('HDEL', KEYS[8], field)
      redis.call('ZREM', KEYS[9], field)
    end
  end
end

-- Counts the delivery among those that wait.
local function wait()
  redis.call('ZADD', KEYS[5], a.waits_until, a.delivery)
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', a.now)
  redis.call('PEXPIRE', KEYS[5], a.waits_bound)
end
