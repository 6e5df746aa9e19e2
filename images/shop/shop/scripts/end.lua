-- KEYS: record, own session, the account's devices, own tombstone.
-- ARGV: fingerprint, seconds, answer up to the count, session prefix, device to end or '' for all, own device, account.
local known = earlier()
if known then return known end
if redis.call('EXISTS', KEYS[2]) == 0 then return {'ended', ''} end
local ended = 0
local devices = redis.call('HGETALL', KEYS[3])
for i = 1, #devices, 2 do
  if ARGV[5] == '' or ARGV[5] == devices[i] then
    ended = ended + redis.call('DEL', ARGV[4] .. devices[i + 1])
    redis.call('HDEL', KEYS[3], devices[i])
  end
end
if ARGV[5] == '' or ARGV[5] == ARGV[6] then redis.call('SET', KEYS[4], ARGV[7], 'EX', ARGV[2]) end
return keep(ARGV[3] .. ended .. '}')
