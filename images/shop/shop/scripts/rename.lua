-- KEYS: record, what proves the session alive, account. ARGV: fingerprint, seconds, answer, name.
local known = earlier()
if known then return known end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ended', ''} end
redis.call('HSET', KEYS[3], 'name', ARGV[4])
return keep(ARGV[3])
