-- KEYS: marker, repositories; ARGV: repository, candidate.
redis.call('HSETNX', KEYS[2], ARGV[3], ARGV[4])
return redis.call('HGET', KEYS[2], ARGV[3])
