-- KEYS: record, what proves the session alive, cart. ARGV: fingerprint, seconds, answer, line, most lines.
local known = earlier()
if known then return known end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ended', ''} end
if redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[5]) then return {'full', ''} end
redis.call('RPUSH', KEYS[3], ARGV[4])
return keep(ARGV[3])
