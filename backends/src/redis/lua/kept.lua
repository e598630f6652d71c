-- A delivery is kept as one text. Each of its lines ends with a newline: these come first, and then one for each attempt, which
-- begins with what it is ordered by.
local LINES = { 'webhook', 'state', 'place', 'first', 'last', 'requests', 'request', 'ordinal', 'next', 'not_before',
  'custody', 'parked', 'content' }
-- So many bytes have at least the first five of them.
local HEAD = 256

-- What an attempt is ordered by ends with its request and its ordinal, of eight hexadecimal digits each.
local ORDER_LENGTH, NUMBERS_FROM = 32, 17

-- The lines of a kept text, by their names, and the attempts.
local function parse(kept)
  local delivery, number = { attempts = {} }, 0
  for line in string.gmatch(kept, '([^\n]*)\n') do
    number = number + 1
    if LINES[number] then
      delivery[LINES[number]] = line
    else
      delivery.attempts[number - #LINES] = line
    end
  end
  return delivery
end

local function format(delivery)
  local lines = {}
  for number, name in ipairs(LINES) do
    lines[number] = delivery[name]
  end
  for _, attempt in ipairs(delivery.attempts) do
    lines[#lines + 1] = attempt
  end
  return table.concat(lines, '\n') .. '\n'
end

-- Of a kept text, or of its beginning: webhook, state, place, and when the last attempt began.
local function head_of(kept)
  return string.match(kept, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n[^\n]*\n([^\n]*)\n')
end

local function id_of(place)
  return string.match(place, '%.(.+)$')
end

local function numbers_of(attempt)
  return string.sub(attempt, NUMBERS_FROM, ORDER_LENGTH)
end
