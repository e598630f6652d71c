-- Enters attempts, or a delivery that waits without one. KEYS: marker; ARGV: what begins the names of all other keys, what
-- all that is entered has in common, and then of each what it is, in JSON, and the content of its delivery, and what only
-- one of the callers has. Times and counts are texts, because Lua would round them.
local base, c = ARGV[3], cjson.decode(ARGV[4])
local now = tonumber(c.now)
local history, history_until = base .. 'history', base .. 'history-until'

-- How many fields the newest get before those that have expired are looked for.
local SWEPT_EVERY = 16

-- What is being entered, when it happened, and its keys.
local a, at, keys
-- What becomes of the indexes of all webhooks by all that is entered.
local changes = {}

local function turn_to(described, content)
  a = cjson.decode(described)
  a.content = content
  at = tonumber(a.at)
  local webhook = ':' .. a.webhook
  keys = { settled = base .. 'settled:' .. a.attempt, gone = base .. 'gone' .. webhook,
    health = base .. 'health' .. webhook, waiting = base .. 'waiting' .. webhook, trials = base .. 'trials' .. webhook,
    standings = base .. 'standings' .. webhook, newest = base .. 'newest' .. webhook,
    newest_until = base .. 'newest-until' .. webhook, of_webhook = base .. 'history' .. webhook,
    delivery = base .. 'delivery:' .. a.delivery }
end

-- Puts the delivery into the indexes at `place`, or only moves it between states. What takes memory comes first:
-- a script that has written anything is not refused any more.
local function list(place, before, state)
  if not before then
    redis.call('ZADD', keys.of_webhook, 0, place)
    note(changes, history, place, 0)
  end
  if before and before ~= state and is_indexed(before) then
    note(changes, base .. before, place, false)
  end
  if before ~= state and is_indexed(state) then
    note(changes, base .. state, place, 0)
  end
end

-- The delivery as it is kept: what it is about, and numbers where there are any.
local function find_delivery()
  local kept = redis.call('HMGET', keys.delivery, 'last', 'first', 'place', 'requests', 'state', 'request', 'ordinal')
  return kept[1] and { last = tonumber(kept[1]), first = tonumber(kept[2]), place = kept[3],
    requests = tonumber(kept[4]), state = kept[5], request = kept[6], ordinal = tonumber(kept[7]) }
end

-- Brings the delivery up to date, unless it is known better already; then only its beginning may be earlier. With it the
-- entry of an attempt, if there is one.
local function update_delivery(old, is_late, entry)
  local first, place, before = old and old.first or at, old and old.place or a.place, old and old.state
  if old and at < first and not a.keeps_first then
    leave(changes, base, place, before)
    redis.call('ZREM', keys.of_webhook, place)
    first, place, before = at, a.place, nil
  end
  local requests = math.max(old and old.requests or 0, tonumber(a.request))
  local last = old and math.max(old.last, at) or at
  local fields = { 'place', place, 'first', text(first), 'requests', requests }
  if is_late then
    list(place, before, old.state)
  else
    last = a.keeps_first and last or at
    list(place, before, a.state)
    fields = { 'place', place, 'first', text(first), 'requests', requests, 'webhook', a.webhook, 'last', text(last),
      'state', a.state, 'request', a.request, 'ordinal', a.ordinal, 'content', a.content, 'next', a.next,
      'not_before', a.not_before, 'custody', a.custody, 'parked', a.parked }
  end
  if entry then
    fields[#fields + 1], fields[#fields + 2] = ATTEMPT .. a.request .. '.' .. a.ordinal, entry
  end
  redis.call('HSET', keys.delivery, unpack(fields))
  redis.call('PEXPIRE', keys.delivery, c.history_bound)
  note(changes, history_until, place, text(last))
end

-- Cuts the history of the webhook back once it is too long by some.
local function bound_history()
  local length = redis.call('ZCARD', keys.of_webhook)
  if length == 1 then
    redis.call('PEXPIRE', keys.of_webhook, c.history_bound)
  elseif length > c.history_limit + c.history_slack then
    drop(changes, base, redis.call('ZRANGE', keys.of_webhook, 0, -1 - c.history_limit))
  end
end

-- Brings the indexes up to date, and forgets what has expired: more than entries add, so that it goes sooner than it comes.
local function finish(entries)
  carry_out(changes)
  changes = {}
  drop(changes, base, redis.call('ZRANGEBYSCORE', history_until, '-inf', c.history_until, 'LIMIT', 0, 4 * entries))
  carry_out(changes)
end

-- The order in a kept text, unless it has expired.
local function order_of(kept)
  local until_text, order = string.match(kept or '', '^(%-?%d+) (.*)$')
  return until_text and tonumber(until_text) > now and order
end

-- The order that is kept in a field of the newest, unless it has expired.
local function kept_order(field)
  return order_of(redis.call('HGET', keys.newest, field))
end

-- Forgets some of the newest that have expired: more than there are new ones between two sweeps.
local function sweep_newest()
  local old = redis.call('ZRANGEBYSCORE', keys.newest_until, '-inf', c.now, 'LIMIT', 0, 4 * SWEPT_EVERY)
  for _, field in ipairs(old) do
    redis.call('HDEL', keys.newest, field)
    redis.call('ZREM', keys.newest_until, field)
  end
end

-- Has the server keep what is listed of the webhook from now on for as long as it may be asked for.
local function renew()
  sweep_newest()
  redis.call('PEXPIRE', keys.of_webhook, c.history_bound)
  redis.call('PEXPIRE', keys.newest, c.newest_bound)
  redis.call('PEXPIRE', keys.newest_until, c.newest_bound)
end

-- Raises a field of the newest to an order, of which this is kept.
local function raise(field, order, kept)
  if kept and kept > order then
    order = kept
  end
  local is_new = redis.call('HSET', keys.newest, field, c.newest_until .. ' ' .. order) == 1
  redis.call('ZADD', keys.newest_until, c.newest_until, field)
  local fields = is_new and redis.call('HLEN', keys.newest)
  if fields == 1 then
    redis.call('PEXPIRE', keys.newest, c.newest_bound)
    redis.call('PEXPIRE', keys.newest_until, c.newest_bound)
  elseif fields and fields % SWEPT_EVERY == 0 then
    sweep_newest()
  end
end

-- What waits is the newest of its tags, until it is given up.
local function raise_waiting()
  for _, pair in ipairs(a.newest) do
    local field = pair[1] .. ' waits'
    raise(field, pair[2], kept_order(field))
  end
end

-- What ended withholds nothing any more for having waited; what was accepted is the newest of its tags for good.
local function end_waiting(is_accepted)
  for _, pair in ipairs(a.newest) do
    local accepted, waits = pair[1] .. ' accepted', pair[1] .. ' waits'
    local kept = redis.call('HMGET', keys.newest, accepted, waits)
    if is_accepted then
      raise(accepted, pair[2], order_of(kept[1]))
    end
    if kept[2] and string.match(kept[2], ' (.*)$') == pair[2] then
      redis.call('HDEL', keys.newest, waits)
      redis.call('ZREM', keys.newest_until, waits)
    end
  end
end

-- Counts the delivery among those that wait.
local function wait()
  redis.call('ZADD', keys.waiting, c.waits_until, a.delivery)
  redis.call('ZREMRANGEBYSCORE', keys.waiting, '-inf', c.now)
  redis.call('PEXPIRE', keys.waiting, c.waits_bound)
end
