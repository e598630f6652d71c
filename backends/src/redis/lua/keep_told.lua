-- Keeps what a receiver was told. KEYS and ARGV: as `told` says.
for _, tag in ipairs(a.tags) do
  local order = find(tag[1])
  if order and order > tag[2] then
    keep(tag[1], order, '')
  else
    keep(tag[1], tag[2], tag[3])
  end
end
bound()
return 1
