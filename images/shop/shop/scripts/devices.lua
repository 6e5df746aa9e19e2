#!lua flags=no-writes
-- KEYS: the account's devices. ARGV: session prefix. Device and session text by turns, living sessions only.
local found = {}
local devices = redis.call('HGETALL', KEYS[1])
for i = 1, #devices, 2 do
  local session = redis.call('GET', ARGV[1] .. devices[i + 1])
  if session then
    found[#found + 1] = devices[i]
    found[#found + 1] = session
  end
end
return found
