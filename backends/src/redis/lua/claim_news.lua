-- Says what a delivery is to a receiver that wants changes alone: `new`, `known`, or the order that makes it old; and takes
-- note of it. KEYS and ARGV: as `told` says.
local latest, is_known, is_new = nil, false, a.is_asked
local found = {}
for place, tag in ipairs(a.tags) do
  local kept = find(tag[1])
  found[place] = kept or {}
  if not kept or not kept.is_current then
    is_new = true
  elseif supersedes(kept.order, tag[2]) then
    if not latest or kept.order > latest then
      latest = kept.order
    end
  elseif kept.digest ~= '' and kept.digest == tag[3] and tonumber(kept.sure_from) <= tonumber(a.now) then
    is_known = true
  else
    is_new = true
  end
end
if latest and not is_known and not is_new then
  return latest
end

-- From when the digest will be sure, once it is told: as before, unless another one may be under way.
local function sure_after(kept, order)
  local is_another = kept.order and (not kept.is_current or kept.digest == '' and is_of_another_event(kept.order, order))
  return is_another and a.unsure or kept.sure_from or '0'
end

for place, tag in ipairs(a.tags) do
  local kept = found[place]
  local later = kept.is_current and kept.order > tag[2] and kept.order
  if is_new then
    keep(tag[1], later or tag[2], '', sure_after(kept, tag[2]))
  elseif not later then
    keep(tag[1], tag[2], tag[3], kept.sure_from)
  end
end
bound()
return is_new and 'new' or 'known'
