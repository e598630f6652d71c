-- KEYS: marker, health, waiting; ARGV: now.
return { told_of(read_health(KEYS[2])), count_waiting(KEYS[3], ARGV[3]) }
