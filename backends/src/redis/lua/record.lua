-- Records an attempt. KEYS and ARGV: as `enter` says; the claim last, and the entry of the attempt.
-- Returns whether it was the first record of the attempt, the health, how many deliveries wait, and, if the standing
-- changed by it, when, and the health before and after.

-- Who recorded the attempt: whoever else has a copy of its message makes it at another time.
local by = a.attempt .. ' ' .. a.at
local NOTHING = { '', {}, {} }

-- Adds the attempt, and forgets the oldest of too many. An entry begins with what it is ordered by.
local function add_attempt(old)
  redis.call('HSET', KEYS[12], a.request .. '.' .. a.ordinal, ARGV[5])
  while old and redis.call('HLEN', KEYS[12]) > tonumber(a.attempts_limit) do
    local entries, oldest, least = redis.call('HGETALL', KEYS[12]), nil, nil
    for i = 1, #entries, 2 do
      local key = string.match(entries[i + 1], '^%x+')
      if not least or key < least then
        oldest, least = entries[i], key
      end
    end
    redis.call('HDEL', KEYS[12], oldest)
  end
end

-- Whether a later attempt is known already. That the delivery waits for this one or one before it, says nothing, even
-- if who parked it has a clock that is ahead.
local function is_late(old)
  if not old or old.last <= at then
    return false
  end
  return not (old.state == 'parked' and old.request == a.request and old.ordinal <= tonumber(a.ordinal))
end

-- Whether the attempt that follows this one was made, or is waited for.
local function is_followed(old)
  local ordinal = tonumber(a.ordinal)
  return old and old.request == a.request and old.ordinal > ordinal
    or redis.call('HEXISTS', KEYS[12], a.request .. '.' .. text(ordinal + 1)) == 1
end

local function enter()
  local old = find_delivery()
  update_delivery(old, is_late(old))
  add_attempt(old)
  bound_history()
  if a.state ~= 'retrying' then
    if a.state == 'delivered' then
      raise_newest(' accepted')
    end
    forget_waiting()
    redis.call('ZREM', KEYS[5], a.delivery)
  elseif not is_followed(old) then
    raise_newest(' waits')
    wait()
  end
end

-- Returns the health, and the change of the standing, if there is one.
local function count_attempt()
  local before = read_health(KEYS[4])
  local health = copy_of(before)
  count(health, a.count, a.delivery, at, now, a.suspension)
  if a.state == 'skipped' then
    health.skipped = math.min(health.skipped + 1, MOST)
  end
  if a.count ~= '' or a.state == 'skipped' then
    write_health(KEYS[4], before, health, a.health_bound)
  end
  if not differs(before, health) then
    return texts_of(health), NOTHING
  end
  local change = { a.now, texts_of(before), texts_of(health), by }
  keep_change(KEYS[7], 'counted ' .. cjson.encode(change), a.changes_limit, a.health_bound)
  return texts_of(health), change
end

-- The change that this very record made before, whose answer was lost on its way.
local function find_change()
  for _, kept in ipairs(redis.call('LRANGE', KEYS[7], 0, -1)) do
    local tally = string.match(kept, '^counted (.*)$')
    local change = tally and cjson.decode(tally)
    if change and change[4] == by then
      return change
    end
  end
  return NOTHING
end

-- What may fail, for want of memory, comes before what must not run twice.
local is_first = not find_verdict()
local health, change = nil, NOTHING
if not is_first then
  change = find_change()
else
  if redis.call('EXISTS', KEYS[3]) == 0 then
    enter()
    health, change = count_attempt()
    redis.call('ZREM', KEYS[6], a.attempt)
  end
  redis.call('SET', KEYS[2], a.settled_until .. ' ' .. a.verdict, 'PX', a.settled_bound)
  redis.call('DEL', KEYS[#KEYS])
end
return { is_first and 1 or 0, health or texts_of(read_health(KEYS[4])), count_waiting(KEYS[5], a.now),
  change[1], change[2], change[3] }
