-- Adds a change to the audit trail. KEYS: marker, audit; ARGV: its place and text, how many are kept.
redis.call('ZADD', KEYS[2], 0, ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[4]))
