-- A delivery is kept with its attempts, whose fields begin like this and end with request and ordinal; the other fields are
-- always so many.
local ATTEMPT, DELIVERY_FIELDS = 'attempt:', 13

local function is_attempt(field)
  return string.sub(field, 1, #ATTEMPT) == ATTEMPT
end
