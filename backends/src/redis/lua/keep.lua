-- Keeps a change of a webhook's standing, once.
local function keep_change(key, change, limit, bound)
  for _, kept in ipairs(redis.call('LRANGE', key, 0, -1)) do
    if kept == change then
      return
    end
  end
  redis.call('LPUSH', key, change)
  redis.call('LTRIM', key, 0, limit - 1)
  redis.call('PEXPIRE', key, bound)
end
