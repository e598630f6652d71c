-- `base` begins the names of all keys.

-- The states of a delivery that have an index of that name. What was delivered is almost all of the history, and is
-- found there.
local STATES = { 'retrying', 'parked', 'dead', 'superseded', 'unchanged', 'skipped', 'expired' }

local function is_indexed(state)
  return state ~= 'delivered'
end

-- Notes what is to become of a place in an index: its score, or false if it leaves. The last note of a place holds.
local function note(changes, index, place, score)
  changes[index] = changes[index] or {}
  changes[index][place] = score
end

-- Carries out what was noted, with one command or two for each index.
local function carry_out(changes)
  for index, places in pairs(changes) do
    local joining, leaving = {}, {}
    for place, score in pairs(places) do
      if score then
        joining[#joining + 1], joining[#joining + 2] = score, place
      else
        leaving[#leaving + 1] = place
      end
    end
    if #joining > 0 then
      redis.call('ZADD', index, unpack(joining))
    end
    if #leaving > 0 then
      redis.call('ZREM', index, unpack(leaving))
    end
  end
end

-- Notes that a place leaves every index of all webhooks.
local function leave(changes, base, place, state)
  note(changes, base .. 'history', place, false)
  note(changes, base .. 'history-until', place, false)
  for _, index in ipairs(state and { state } or STATES) do
    if is_indexed(index) then
      note(changes, base .. index, place, false)
    end
  end
end

-- Forgets deliveries of which the history knows the places; that they leave the indexes of all webhooks is noted. The server
-- may have forgotten one before, and it may have been made anew at another place, where it stays. From the history of its
-- webhook a delivery is taken unless that is said to be done.
local function drop(changes, base, places, are_taken)
  local gone = {}
  for _, place in ipairs(places) do
    local key = base .. 'kept:' .. id_of(place)
    local webhook, state, found = head_of(redis.call('GETRANGE', key, 0, HEAD))
    local is_here = found == place
    leave(changes, base, place, is_here and state)
    if webhook and not are_taken then
      redis.call('LREM', base .. 'recent:' .. webhook, -1, place)
    end
    if is_here then
      gone[#gone + 1] = key
    end
  end
  if #gone > 0 then
    redis.call('DEL', unpack(gone))
  end
end
