-- Tells that the standing of a webhook changed. KEYS: marker, changes; ARGV: webhook, length of the changes. It makes
-- no revision: that would be missed if the server lost its last second, and the database would be taken for an
-- older one.
local revision = redis.call('HGET', KEYS[1], 'revision')
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'revision', revision, 'standing', ARGV[3])
return 1
