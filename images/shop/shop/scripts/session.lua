#!lua flags=no-writes
-- KEYS: session. Its text and how many seconds it has left, or nothing.
local session = redis.call('GET', KEYS[1])
if not session then return {} end
return {session, tostring(redis.call('TTL', KEYS[1]))}
