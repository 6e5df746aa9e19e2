-- KEYS: record, what proves the session alive, cart.
-- ARGV: fingerprint, seconds, answer if it was there, answer if not, line's id.
local known = earlier()
if known then return known end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ended', ''} end
for _, line in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  if cjson.decode(line).id == ARGV[5] then
    redis.call('LREM', KEYS[3], 1, line)
    return keep(ARGV[3])
  end
end
return keep(ARGV[4])
