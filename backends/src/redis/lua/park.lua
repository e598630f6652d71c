-- Takes note of a delivery that waits without having been attempted. KEYS: as `enter` says; ARGV: how many may wait, and
-- whether it takes the place of no other, between what `enter` says.
-- Returns what became of it, the verdict of its attempt or the order that took its place, the health, and how many
-- wait.

-- Microseconds.
local DAY = 24 * 60 * 60 * 1000000

-- The latest of the orders that took the place of the delivery; none if it is the newest of any of its tags.
local function successor()
  local by = nil
  for _, pair in ipairs(a.newest) do
    local latest = nil
    for _, standing in ipairs({ ' accepted', ' waits' }) do
      local order = kept_order(pair[1] .. standing)
      if order and (not latest or order > latest) then
        latest = order
      end
    end
    if not latest or not supersedes(latest, pair[2]) then
      return nil
    end
    by = by and by > latest and by or latest
  end
  return by
end

-- Whether it is known of each tag that this order waits, or a later one.
local function is_raised()
  for _, pair in ipairs(a.newest) do
    local kept = kept_order(pair[1] .. ' waits')
    if not kept or kept < pair[2] then
      return false
    end
  end
  return true
end

-- Whether a later attempt is what it waits for.
local function is_known_better(old)
  local ordinal, known = tonumber(a.ordinal), old and old.request == a.request and tonumber(old.ordinal)
  return known and (known > ordinal or (known == ordinal and old.state ~= 'parked'))
end

local function answer(kind, because)
  return { kind, because or '', told_of(read_health(keys.health)), count_waiting(keys.waiting, c.now) }
end

local limit, is_held = tonumber(ARGV[5]), ARGV[6] == '1'
turn_to(7)
if redis.call('EXISTS', keys.gone) == 1 then
  return answer('waits')
end
local verdict = verdict_of(redis.call('GET', keys.settled), now)
if verdict then
  return answer('settled', verdict)
end
local old = find_delivery()
if is_known_better(old) then
  return answer('waits')
end
local by = a.request == '0' and successor()
if by then
  return answer('superseded', by)
end
local waits_until = tonumber(redis.call('ZSCORE', keys.waiting, a.delivery) or '')
local waits = waits_until and waits_until > now
-- What is written here lasts longer than a delivery may wait, so that one look in a day renews enough.
local is_noted = waits and tonumber(c.waits_until) - waits_until < DAY and (is_held or is_raised())
if not waits and count_waiting(keys.waiting, c.now) >= limit then
  return answer('full')
end
-- What waits and is not in the history was trimmed from it: looking at it again does not bring it back to its top.
if old or not waits then
  update_delivery(old, false)
  finish(1)
end
if not is_noted then
  if not is_held then
    raise_waiting()
  end
  wait()
end
renew()
return answer('waits')
