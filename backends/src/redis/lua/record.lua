-- Records an attempt. KEYS: marker, settled, gone, health, newest, newest-until, history of the webhook,
-- delivery, attempts, history, history-until, delivered, retrying, dead, superseded; ARGV: a table in JSON, whose
-- times are texts, because Lua would round them; the content of the delivery; the entry of the attempt.
-- Returns whether it was the first record of the attempt, and the health.
local a = cjson.decode(ARGV[3])
local now, at = tonumber(a.now), tonumber(a.at)

local history, history_until = KEYS[10], KEYS[11]
local states = { delivered = KEYS[12], retrying = KEYS[13], dead = KEYS[14], superseded = KEYS[15] }

local function is_settled()
  local kept = string.match(redis.call('GET', KEYS[2]) or '', '^(%-?%d+) ')
  return kept and tonumber(kept) > now
end

-- Puts the delivery into the indexes at `place`, or only moves it between states.
local function list(place, before, state)
  if not before then
    redis.call('ZADD', KEYS[7], 0, place)
    redis.call('ZADD', history, 0, place)
  elseif before ~= state then
    redis.call('ZREM', states[before], place)
  end
  if before ~= state then
    redis.call('ZADD', states[state], 0, place)
  end
end

-- Brings the delivery up to date, unless a later attempt is known already.
local function update_delivery()
  local old = redis.call('HMGET', KEYS[8], 'last', 'first', 'place', 'requests', 'state')
  local last, first, place, before = old[1], old[2], old[3], old[5]
  if last and at < tonumber(first) then
    drop_place(a.base, place, a.webhook, before)
    first, before = nil, nil
  end
  if not first then
    first, place = a.at, a.place
  end
  local requests = math.max(tonumber(old[4] or 0), tonumber(a.request))
  if last and tonumber(last) > at then
    list(place, before, old[5])
    redis.call('HSET', KEYS[8], 'place', place, 'first', first, 'requests', requests)
  else
    list(place, before, a.state)
    redis.call('HSET', KEYS[8], 'webhook', a.webhook, 'place', place, 'first', first, 'requests', requests,
      'last', a.at, 'state', a.state, 'request', a.request, 'ordinal', a.ordinal, 'content', ARGV[4],
      'next', a.next, 'not_before', a.not_before)
    last = a.at
  end
  redis.call('ZADD', history_until, last, place)
end

-- Adds the attempt, and forgets the oldest of too many. An entry begins with what it is ordered by.
local function add_attempt()
  redis.call('HSET', KEYS[9], a.request .. '.' .. a.ordinal, ARGV[5])
  while redis.call('HLEN', KEYS[9]) > tonumber(a.attempts_limit) do
    local entries, oldest, least = redis.call('HGETALL', KEYS[9]), nil, nil
    for i = 1, #entries, 2 do
      local key = string.match(entries[i + 1], '^%x+')
      if not least or key < least then
        oldest, least = entries[i], key
      end
    end
    redis.call('HDEL', KEYS[9], oldest)
  end
end

local function enter()
  update_delivery()
  add_attempt()
  for _, key in ipairs({ KEYS[7], KEYS[8], KEYS[9] }) do
    redis.call('PEXPIRE', key, a.history_bound)
  end
  for _, old in ipairs(redis.call('ZRANGE', KEYS[7], 0, -1 - tonumber(a.history_limit))) do
    drop(a.base, old)
  end
  -- More than one record adds, so that what has expired goes sooner than it comes.
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', history_until, '-inf', a.history_until, 'LIMIT', 0, 4)) do
    drop(a.base, old)
  end
end

local function count()
  if a.count == 'accepted' then
    redis.call('HSET', KEYS[4], 'failures', 0)
    redis.call('HDEL', KEYS[4], 'since')
    local before = redis.call('HGET', KEYS[4], 'succeeded')
    if not before or tonumber(before) < at then
      redis.call('HSET', KEYS[4], 'succeeded', a.at)
    end
  elseif a.count == 'failed' then
    redis.call('HINCRBY', KEYS[4], 'failures', 1)
    redis.call('HSETNX', KEYS[4], 'since', a.at)
  end
end

-- `standing` says why an order is the newest of its tag: what was accepted stays so, what waits may still be
-- given up.
local function raise_newest(standing)
  local old = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', a.now, 'LIMIT', 0, 4 * #a.newest)
  for _, field in ipairs(old) do
    redis.call('HDEL', KEYS[5], field)
    redis.call('ZREM', KEYS[6], field)
  end
  for _, pair in ipairs(a.newest) do
    local field, order = pair[1] .. standing, pair[2]
    local until_text, kept = string.match(redis.call('HGET', KEYS[5], field) or '', '^(%-?%d+) (.*)$')
    if until_text and tonumber(until_text) > now and kept > order then
      order = kept
    end
    redis.call('HSET', KEYS[5], field, a.newest_until .. ' ' .. order)
    redis.call('ZADD', KEYS[6], a.newest_until, field)
  end
  redis.call('PEXPIRE', KEYS[5], a.newest_bound)
  redis.call('PEXPIRE', KEYS[6], a.newest_bound)
end

-- What waited withholds nothing any more for that.
local function forget_waiting()
  for _, pair in ipairs(a.newest) do
    local field, order = pair[1] .. ' waits', pair[2]
    if string.match(redis.call('HGET', KEYS[5], field) or '', ' (.*)$') == order then
      redis.call('HDEL', KEYS[5], field)
      redis.call('ZREM', KEYS[6], field)
    end
  end
end

-- What may fail, for want of memory, comes before what must not run twice.
local is_first = not is_settled()
if is_first then
  if redis.call('EXISTS', KEYS[3]) == 0 then
    enter()
    if a.state == 'retrying' then
      raise_newest(' waits')
    else
      if a.state == 'delivered' then
        raise_newest(' accepted')
      end
      forget_waiting()
    end
    count()
  end
  redis.call('SET', KEYS[2], a.settled_until .. ' ' .. a.verdict, 'PX', a.settled_bound)
end
local health = redis.call('HMGET', KEYS[4], 'failures', 'since', 'succeeded')
return { is_first and 1 or 0, health }
