-- Records an attempt. KEYS and ARGV: as `enter` says; the entry of the attempt.
-- Returns whether it was the first record of the attempt, the health before it if its standing changed, the health,
-- and how many deliveries wait.

-- Adds the attempt, and forgets the oldest of too many. An entry begins with what it is ordered by.
local function add_attempt()
  redis.call('HSET', KEYS[12], a.request .. '.' .. a.ordinal, ARGV[5])
  while redis.call('HLEN', KEYS[12]) > tonumber(a.attempts_limit) do
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
  add_attempt()
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

-- Returns the health before, if its standing changed, and the health.
local function count_attempt()
  local before, health = read_health(KEYS[4]), read_health(KEYS[4])
  count(health, a.count, a.delivery, at, now, a.suspension)
  if a.state == 'skipped' then
    health.skipped = math.min(health.skipped + 1, MOST)
  end
  if a.count ~= '' or a.state == 'skipped' then
    write_health(KEYS[4], health, a.health_bound)
  end
  if not differs(before, health) then
    return {}, texts_of(health)
  end
  local old, new = texts_of(before), texts_of(health)
  keep_change(KEYS[7], 'counted ' .. cjson.encode({ a.now, old, new }), a.changes_limit, a.health_bound)
  return old, new
end

-- What may fail, for want of memory, comes before what must not run twice.
local is_first = not is_settled()
local before, health = {}, nil
if is_first then
  if redis.call('EXISTS', KEYS[3]) == 0 then
    enter()
    before, health = count_attempt()
    redis.call('ZREM', KEYS[6], a.attempt)
  end
  redis.call('SET', KEYS[2], a.settled_until .. ' ' .. a.verdict, 'PX', a.settled_bound)
end
return { is_first and 1 or 0, before, health or texts_of(read_health(KEYS[4])), count_waiting(KEYS[5], a.now) }
