-- An order is 20 digits of time, a hyphen and its event.
local function is_of_another_event(order, other)
  return string.sub(order, 21) ~= string.sub(other, 21)
end

-- Whether what has the one order takes the place of what has the other. An event that was reported twice has two orders, and
-- takes nobody's place by the second.
local function supersedes(order, other)
  return order > other and is_of_another_event(order, other)
end
