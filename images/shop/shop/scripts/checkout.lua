-- KEYS: record, what proves the session alive, cart, orders.
-- ARGV: fingerprint, seconds, answer up to its lines, answer if the cart is empty, order up to its lines.
-- Lines are moved as text, never decoded: what another release wrote into them stays.
local known = earlier()
if known then return known end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ended', ''} end
local lines = redis.call('LRANGE', KEYS[3], 0, -1)
if #lines == 0 then return keep(ARGV[4]) end
local text = table.concat(lines, ',')
redis.call('RPUSH', KEYS[4], ARGV[5] .. text .. ']}')
redis.call('DEL', KEYS[3])
return keep(ARGV[3] .. text .. ']}')
