-- KEYS: record, what proves the session alive, cart, orders or outbox, and with an outbox the account.
-- ARGV: fingerprint, seconds, answer up to its lines, answer if the cart is empty, order up to its lines, and with an
-- outbox the order's key: there an entry begins with the order's number, counted in the account, and that key.
-- Lines are moved as text, never decoded: what another release wrote into them stays.
local known = earlier()
if known then return known end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ended', ''} end
local lines = redis.call('LRANGE', KEYS[3], 0, -1)
if #lines == 0 then return keep(ARGV[4]) end
local text = table.concat(lines, ',')
local number = KEYS[5] and redis.call('HINCRBY', KEYS[5], 'orders', 1) .. ' ' .. ARGV[6] .. ' ' or ''
redis.call('RPUSH', KEYS[4], number .. ARGV[5] .. text .. ']}')
redis.call('DEL', KEYS[3])
return keep(ARGV[3] .. text .. ']}')
