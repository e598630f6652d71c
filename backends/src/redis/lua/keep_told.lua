-- Keeps what a receiver was told. KEYS and ARGV: as `told` says.
for _, tag in ipairs(a.tags) do
  local kept = find(tag[1])
  if not kept or not kept.is_current then
    -- Nobody knows what was claimed meanwhile.
    keep(tag[1], tag[2], tag[3], a.unsure)
  elseif kept.order > tag[2] then
    keep(tag[1], kept.order, '', kept.sure_from)
  else
    keep(tag[1], tag[2], tag[3], kept.sure_from)
  end
end
bound()
return 1
