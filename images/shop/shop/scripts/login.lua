-- KEYS: record, account, new session, the account's devices, failures, old session, the old session's devices.
-- ARGV: fingerprint, seconds, answer, password of a new account or '', session, idle seconds, longest seconds,
--       device, digest, session prefix, old device or ''.
-- First of all: a stored answer opens only with the secret of the password record that is in force.
if ARGV[4] ~= '' and redis.call('HEXISTS', KEYS[2], 'password') == 1 then return {'raced', ''} end
local known = earlier()
if redis.call('EXISTS', KEYS[5]) == 1 then redis.call('DECR', KEYS[5]) end
if known then return known end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], 'password', ARGV[4]) end
if ARGV[11] ~= '' then
  redis.call('DEL', KEYS[6])
  redis.call('HDEL', KEYS[7], ARGV[11])
end
local devices = redis.call('HGETALL', KEYS[4])
for i = 1, #devices, 2 do
  if redis.call('EXISTS', ARGV[10] .. devices[i + 1]) == 0 then redis.call('HDEL', KEYS[4], devices[i]) end
end
redis.call('SET', KEYS[3], ARGV[5], 'EX', ARGV[6])
redis.call('HSET', KEYS[4], ARGV[8], ARGV[9])
redis.call('EXPIRE', KEYS[4], ARGV[7])
return keep(ARGV[3])
