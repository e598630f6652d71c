-- One delivery with its attempts, as `kept` says, unless it has expired. KEYS: marker, delivery; ARGV: the time up to which
-- deliveries have expired.
local kept = redis.call('GET', KEYS[2])
local _, _, _, last = head_of(kept or '')
return last and tonumber(last) > tonumber(ARGV[3]) and kept or false
