-- Changes of the audit trail, newest first. KEYS: marker, audit; ARGV: before which place, how many.
return redis.call('ZREVRANGEBYLEX', KEYS[2], ARGV[3], '-', 'LIMIT', 0, ARGV[4])
