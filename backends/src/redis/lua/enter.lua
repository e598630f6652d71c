-- Enters attempts, or a delivery that waits without one. KEYS: marker; ARGV: what begins the names of all other keys, what all
-- that is entered has in common, in JSON, and then what `turn_to` reads. Times and counts are texts, because Lua would
-- round them.
local base, c = ARGV[3], cjson.decode(ARGV[4])
local now = tonumber(c.now)
local history, history_until, history_swept = base .. 'history', base .. 'history-until', base .. 'history-swept'

-- What is listed at least so long before it expires is found by its place in the history when it has: a day in microseconds.
local FOUND_BY_PLACE = 24 * 60 * 60 * 1000000

-- What is being entered: which attempt of which delivery, when it happened, the delivery as it is kept if nothing was known
-- of it, its tags with their orders, and its keys.
local a, at, keys
-- What becomes of the indexes of all webhooks by all that is entered, and what joins the histories of single ones.
local changes, joining = {}, {}

-- Turns to the next that is told of, of which ARGV has from `from` on what the fields here are named, how many tags it is about, and
-- of each of them its field of the newest and its order. Returns where the one after it begins.
local function turn_to(from)
  a = { webhook = ARGV[from], delivery = ARGV[from + 1], attempt = ARGV[from + 2], at = ARGV[from + 3],
    place = ARGV[from + 4], state = ARGV[from + 5], request = ARGV[from + 6], ordinal = ARGV[from + 7],
    count = ARGV[from + 8], verdict = ARGV[from + 9], suspension = ARGV[from + 10], told = ARGV[from + 11], newest = {} }
  local next = from + 13 + 2 * ARGV[from + 12]
  for field = from + 13, next - 2, 2 do
    a.newest[#a.newest + 1] = { ARGV[field], ARGV[field + 1] }
  end
  at = tonumber(a.at)
  local webhook = ':' .. a.webhook
  keys = { settled = base .. 'settled:' .. a.attempt, gone = base .. 'gone' .. webhook, health = base .. 'counters' .. webhook,
    waiting = base .. 'waiting' .. webhook, newest = base .. 'newest' .. webhook .. c.newest_generation,
    of_webhook = base .. 'recent' .. webhook, delivery = base .. 'kept:' .. a.delivery }
  return next
end

-- Whether what was first and last attempted at these times is found by its place in the history when it has expired.
local function is_found_by_place(first, last)
  return first == last and tonumber(first) > tonumber(c.history_until) + FOUND_BY_PLACE
end

-- Puts the delivery into the indexes at `place`, or only moves it between states.
local function list(place, before, state)
  if not before then
    local places = joining[keys.of_webhook] or {}
    places[#places + 1] = place
    joining[keys.of_webhook] = places
    note(changes, history, place, 0)
  end
  if before and before ~= state and is_indexed(before) then
    note(changes, base .. before, place, false)
  end
  if before ~= state and is_indexed(state) then
    note(changes, base .. state, place, 0)
  end
end

-- The delivery as it is kept.
local function find_delivery()
  local kept = redis.call('GET', keys.delivery)
  return kept and parse(kept)
end

-- The attempts of the old and the one of the new, of which the oldest are forgotten once they are too many.
local function join_attempts(old, new)
  local attempts = {}
  for _, attempt in ipairs(old) do
    if not new[1] or numbers_of(attempt) ~= numbers_of(new[1]) then
      table.insert(attempts, attempt)
    end
  end
  table.insert(attempts, new[1])
  while #attempts > c.attempts_limit do
    local oldest = 1
    for place, attempt in ipairs(attempts) do
      if string.sub(attempt, 1, ORDER_LENGTH) < string.sub(attempts[oldest], 1, ORDER_LENGTH) then
        oldest = place
      end
    end
    table.remove(attempts, oldest)
  end
  return attempts
end

-- Brings the delivery up to date, unless it is known better already; then only its beginning may be earlier, and it has one
-- attempt more. What takes memory comes first: a script that has written anything is not refused any more.
local function update_delivery(old, is_late)
  local told = parse(a.told)
  local kept, before = is_late and old or told, old and old.state
  if old then
    kept.attempts = join_attempts(old.attempts, told.attempts)
    kept.requests = text(math.max(tonumber(old.requests), tonumber(told.requests)))
    local first, place, last = old.first, old.place, old.last
    local is_earlier = at < tonumber(first) and a.state ~= 'parked'
    if is_earlier then
      leave(changes, base, place, before)
      redis.call('LREM', keys.of_webhook, -1, place)
      first, place, before = told.first, told.place, nil
    end
    kept.first, kept.place = first, place
    if a.state == 'parked' then
      kept.last = text(math.max(tonumber(last), at))
    end
  end
  redis.call('SET', keys.delivery, format(kept), 'PX', c.history_bound)
  list(kept.place, before, kept.state)
  if not is_found_by_place(kept.first, kept.last) then
    note(changes, history_until, kept.place, kept.last)
  end
end

-- Cuts the history of a webhook back to what is kept of it.
local function bound_history(of_webhook)
  local places = redis.call('LRANGE', of_webhook, 0, -1)
  local sorted = { unpack(places) }
  table.sort(sorted)
  local oldest, are_last = {}, true
  for number = 1, #places - c.history_limit do
    oldest[number] = sorted[number]
    are_last = are_last and sorted[number] == places[#places + 1 - number]
  end
  if are_last then
    redis.call('LTRIM', of_webhook, 0, c.history_limit - 1)
  end
  drop(changes, base, oldest, are_last)
end

-- Puts what joins them into the histories of webhooks, and cuts those back that are too long by some.
local function join_histories()
  for of_webhook, places in pairs(joining) do
    local length = redis.call('LPUSH', of_webhook, unpack(places))
    if length == #places then
      redis.call('PEXPIRE', of_webhook, c.history_bound)
    end
    if length > c.history_limit + c.history_slack then
      bound_history(of_webhook)
    end
  end
  joining = {}
end

-- Drops up to `limit` of the deliveries that have expired and are found by their place. Those that are met and have not are
-- found by when they expire.
local function sweep_history(limit)
  local from = redis.call('GET', history_swept)
  from = from and '(' .. from or '-'
  local places = redis.call('ZRANGEBYLEX', history, from, '(' .. c.history_place, 'LIMIT', 0, limit)
  local expired = {}
  for _, place in ipairs(places) do
    if not redis.call('ZSCORE', history_until, place) then
      table.insert(expired, place)
    end
  end
  drop(changes, base, expired)
  if #places > 0 then
    redis.call('SET', history_swept, places[#places], 'PX', c.history_bound)
  end
end

-- Brings the indexes up to date, and forgets what has expired: more than entries add, so that it goes sooner than it comes.
local function finish(entries)
  carry_out(changes)
  changes = {}
  join_histories()
  sweep_history(4 * entries)
  drop(changes, base, redis.call('ZRANGEBYSCORE', history_until, '-inf', c.history_until, 'LIMIT', 0, 4 * entries))
  carry_out(changes)
end

-- The order in a kept text, unless it has expired.
local function order_of(kept)
  local until_text, order = string.match(kept or '', '^(%-?%d+) (.*)$')
  return until_text and tonumber(until_text) > now and order
end

-- What is newest is kept in generations, each of which lasts as long as it is kept, so that no expired field has to be looked
-- for: it goes with its generation. This is the one before.
local function newest_before()
  return base .. 'newest:' .. a.webhook .. c.newest_generation_before
end

-- The latest order that is kept in a field of the newest, unless it has expired.
local function kept_order(field)
  local latest = nil
  for _, newest in ipairs({ keys.newest, newest_before() }) do
    local order = order_of(redis.call('HGET', newest, field))
    if order and (not latest or order > latest) then
      latest = order
    end
  end
  return latest
end

-- Has the server keep what is listed of the webhook from now on for as long as it may be asked for. The empty field makes
-- sure that the newest are there to be told so.
local function renew()
  redis.call('PEXPIRE', keys.of_webhook, c.history_bound)
  redis.call('HSET', keys.newest, '', '')
  redis.call('PEXPIRE', keys.newest, c.newest_bound)
end

-- Raises a field of the newest to the order. What was kept before this generation goes with its own.
local function raise(field, order)
  local kept = order_of(redis.call('HGET', keys.newest, field))
  redis.call('HSET', keys.newest, field, c.newest_until .. ' ' .. (kept and kept > order and kept or order))
end

-- What waits is the newest of its tags, until it is given up.
local function raise_waiting()
  for _, pair in ipairs(a.newest) do
    raise(pair[1] .. ' waits', pair[2])
  end
end

-- What was accepted is the newest of its tags for good.
local function raise_accepted()
  for _, pair in ipairs(a.newest) do
    raise(pair[1] .. ' accepted', pair[2])
  end
end

-- What ended withholds nothing any more for having waited.
local function end_waiting()
  for _, pair in ipairs(a.newest) do
    local waits = pair[1] .. ' waits'
    for _, newest in ipairs({ keys.newest, newest_before() }) do
      local kept = redis.call('HGET', newest, waits)
      if kept and string.match(kept, ' (.*)$') == pair[2] then
        redis.call('HDEL', newest, waits)
      end
    end
  end
end

-- Counts the delivery among those that wait.
local function wait()
  redis.call('ZADD', keys.waiting, c.waits_until, a.delivery)
  redis.call('ZREMRANGEBYSCORE', keys.waiting, '-inf', c.now)
  redis.call('PEXPIRE', keys.waiting, c.waits_bound)
end
