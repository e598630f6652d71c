-- Records attempts, one after the other. KEYS and ARGV: as `enter` says; of each also its entry.
-- Returns of each whether it was the first record of the attempt, how many deliveries wait, the health, and, if the
-- standing changed by it, when, and the health before and after.

-- The keys of a webhook are kept for longer than they are asked for by at least so long, in microseconds.
local RENEWED_EVERY = 60 * 60 * 1000000

-- Forgets the oldest of too many attempts. An entry begins with what it is ordered by.
local function bound_attempts(old)
  while old and redis.call('HLEN', keys.delivery) - DELIVERY_FIELDS > tonumber(c.attempts_limit) do
    local fields, oldest, least = redis.call('HGETALL', keys.delivery), nil, nil
    for i = 1, #fields, 2 do
      local key = is_attempt(fields[i]) and string.match(fields[i + 1], '^%x+')
      if key and (not least or key < least) then
        oldest, least = fields[i], key
      end
    end
    redis.call('HDEL', keys.delivery, oldest)
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
    or redis.call('HEXISTS', keys.delivery, ATTEMPT .. a.request .. '.' .. text(ordinal + 1)) == 1
end

local function enter(entry)
  local old = find_delivery()
  update_delivery(old, is_late(old), entry)
  bound_attempts(old)
  bound_history()
  if a.state ~= 'retrying' then
    end_waiting(a.state == 'delivered')
    redis.call('ZREM', keys.waiting, a.delivery)
  elseif not is_followed(old) then
    raise_waiting()
    wait()
  end
end

-- Returns the health as a text, and the change of the standing as one, if there is one. Who made it stands in it: whoever
-- else has a copy of the message makes it at another time.
local function count_attempt()
  local kept = redis.call('HMGET', keys.health, unpack(FIELDS_AND_RENEWED))
  local hour = text(math.floor(now / RENEWED_EVERY))
  local is_to_renew = kept[#FIELDS_AND_RENEWED] ~= hour
  if is_to_renew then
    redis.call('HSET', keys.health, 'renewed', hour)
    redis.call('PEXPIRE', keys.health, c.health_bound)
    renew()
  end
  if a.count == 'accepted' and is_well(kept) then
    local succeeded = text(math.max(tonumber(kept[SUCCEEDED] or '') or at, at))
    redis.call('HSET', keys.health, 'succeeded', succeeded)
    return text_of_well(succeeded, kept[SKIPPED]), ''
  end
  -- Of a webhook that is well nobody asks how many try it.
  redis.call('ZREM', keys.trials, a.attempt)
  local before = health_of(kept)
  local health = copy_of(before)
  count(health, a.count, a.delivery, at, now, a.suspension)
  if a.state == 'skipped' then
    health.skipped = math.min(health.skipped + 1, MOST)
  end
  if a.count ~= '' or a.state == 'skipped' then
    write_health(keys.health, before, health, c.health_bound)
  end
  local change = ''
  if differs(before, health) then
    change = cjson.encode({ c.now, texts_of(before), texts_of(health), a.attempt .. ' ' .. a.at })
    keep_change(keys.standings, 'counted ' .. change, c.changes_limit, c.health_bound)
  end
  return table.concat(texts_of(health), ','), change
end

-- The change that this very record made before, whose answer was lost on its way.
local function find_change()
  for _, kept in ipairs(redis.call('LRANGE', keys.standings, 0, -1)) do
    local tally = string.match(kept, '^counted (.*)$')
    if tally and cjson.decode(tally)[4] == a.attempt .. ' ' .. a.at then
      return tally
    end
  end
  return ''
end

-- What may fail, for want of memory, comes before what must not run twice.
local function record(entry)
  local health, change = nil, ''
  local kept = redis.call('MGET', keys.settled, keys.gone)
  local is_first, is_gone = not verdict_of(kept[1], now), kept[2]
  if not is_first then
    change = find_change()
  else
    if not is_gone then
      enter(entry)
      health, change = count_attempt()
    end
    redis.call('SET', keys.settled, c.settled_until .. ' ' .. a.verdict, 'PX', c.settled_bound)
  end
  health = health or table.concat(texts_of(read_health(keys.health)), ',')
  return is_first and 1 or 0, count_waiting(keys.waiting, c.now), health, change
end

local answers, entries = {}, 0
for place = 5, #ARGV, 3 do
  turn_to(ARGV[place], ARGV[place + 1])
  local first = #answers
  answers[first + 1], answers[first + 2], answers[first + 3], answers[first + 4] = record(ARGV[place + 2])
  entries = entries + 1
end
finish(entries)
return answers
