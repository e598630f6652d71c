-- Records attempts, one after the other. KEYS and ARGV: as `enter` says.
-- Returns of each whether it was the first record of the attempt, how many deliveries wait, the health, and, if the
-- standing changed by it, when, and the health before and after.

-- The keys of a webhook are kept for longer than they are asked for by at least so long, in microseconds.
local RENEWED_EVERY = 60 * 60 * 1000000
local HOUR = text(math.floor(now / RENEWED_EVERY))

-- Whether a later attempt is known already. That the delivery waits for this one or one before it, says nothing, even
-- if who parked it has a clock that is ahead.
local function is_late(old)
  if not old or tonumber(old.last) <= at then
    return false
  end
  return not (old.state == 'parked' and old.request == a.request and tonumber(old.ordinal) <= tonumber(a.ordinal))
end

-- Whether the attempt that follows this one was made, or is waited for.
local function is_followed(old)
  if not old then
    return false
  end
  local ordinal = tonumber(a.ordinal)
  if old.request == a.request and tonumber(old.ordinal) > ordinal then
    return true
  end
  local numbers = string.format('%08x%08x', a.request, ordinal + 1)
  for _, attempt in ipairs(old.attempts) do
    if numbers_of(attempt) == numbers then
      return true
    end
  end
  return false
end

local function enter()
  local old = find_delivery()
  local followed = is_followed(old)
  update_delivery(old, is_late(old))
  if a.state ~= 'retrying' then
    if a.state == 'delivered' then
      raise_accepted()
    end
    end_waiting()
    redis.call('ZREM', keys.waiting, a.delivery)
  elseif not followed then
    raise_waiting()
    wait()
  end
end

-- Returns the health as a text, and the change of the standing as one, if there is one. Who made it stands in it: whoever
-- else has a copy of the message makes it at another time.
local function count_attempt(kept)
  -- Of a webhook that is well nobody asks how many try it.
  redis.call('ZREM', base .. 'trials:' .. a.webhook, a.attempt)
  local before = health_of(kept)
  local health = copy_of(before)
  if before.renewed ~= HOUR then
    renew()
    health.renewed = HOUR
  end
  count(health, a.count, a.delivery, at, now, a.suspension)
  if a.state == 'skipped' then
    health.skipped = math.min(health.skipped + 1, MOST)
  end
  write_health(keys.health, health, c.health_bound)
  local change = ''
  if differs(before, health) then
    change = cjson.encode({ c.now, texts_of(before), texts_of(health), a.attempt .. ' ' .. a.at })
    keep_change(base .. 'standings:' .. a.webhook, 'counted ' .. change, c.changes_limit, c.health_bound)
  end
  return told_of(health), change
end

-- The change that this very record made before, whose answer was lost on its way.
local function find_change()
  for _, kept in ipairs(redis.call('LRANGE', base .. 'standings:' .. a.webhook, 0, -1)) do
    local tally = string.match(kept, '^counted (.*)$')
    if tally and cjson.decode(tally)[4] == a.attempt .. ' ' .. a.at then
      return tally
    end
  end
  return ''
end

-- Enters the first attempt of a delivery of which nothing is known, if it was accepted, its webhook is well, and nothing waits
-- for that. Returns whether it did: nearly all attempts are like that.
local function enter_first(renewed, waiting)
  if a.count ~= 'accepted' or a.state ~= 'delivered' or waiting ~= 0 or renewed ~= HOUR
    or not is_found_by_place(a.at, a.at) then
    return false
  end
  if not redis.call('SET', keys.delivery, a.told, 'PX', c.history_bound, 'NX') then
    return false
  end
  list(a.place, nil, a.state)
  raise_accepted()
  return true
end

-- What may fail, for want of memory, comes before what must not run twice.
local function record()
  local settled, gone, kept = unpack(redis.call('MGET', keys.settled, keys.gone, keys.health))
  local succeeded, skipped, renewed = well_of(kept)
  local waiting = count_waiting(keys.waiting, c.now)
  local health, change, is_first = nil, '', not verdict_of(settled, now)
  if not is_first then
    change = find_change()
  else
    if not gone and enter_first(renewed, waiting) then
      health = accept_well(keys.health, succeeded, skipped, renewed, at)
    elseif not gone then
      enter()
      health, change = count_attempt(kept)
      waiting = count_waiting(keys.waiting, c.now)
    end
    redis.call('SET', keys.settled, c.settled_until .. ' ' .. a.verdict, 'PX', c.settled_bound)
  end
  return is_first and 1 or 0, waiting, health or told_of(health_of(kept)), change
end

local answers, entries, from = {}, 0, 5
while from <= #ARGV do
  from = turn_to(from)
  local first = #answers
  answers[first + 1], answers[first + 2], answers[first + 3], answers[first + 4] = record()
  entries = entries + 1
end
finish(entries)
return answers
