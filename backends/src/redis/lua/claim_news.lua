-- Says what a delivery is to a receiver that wants changes alone: `new`, `known`, or the order that makes it old; and takes
-- note of it. KEYS and ARGV: as `told` says.
local latest, is_known, is_new = nil, false, a.is_asked
local kept = {}
for place, tag in ipairs(a.tags) do
  local order, digest = find(tag[1])
  kept[place] = order
  if order and order > tag[2] then
    if not latest or order > latest then
      latest = order
    end
  elseif order and digest ~= '' and digest == tag[3] then
    is_known = true
  else
    is_new = true
  end
end
if latest and not is_known and not is_new then
  return latest
end
for place, tag in ipairs(a.tags) do
  local later = kept[place] and kept[place] > tag[2] and kept[place]
  if is_new then
    keep(tag[1], later or tag[2], '')
  elseif not later then
    keep(tag[1], tag[2], tag[3])
  end
end
bound()
return is_new and 'new' or 'known'
