#!lua flags=no-writes
-- KEYS: tombstone. ARGV: prefix of records, idempotency key. Whose session it was, and what that key was answered.
local account = redis.call('GET', KEYS[1])
if not account then return {} end
return {account, redis.call('GET', ARGV[1] .. account .. ':' .. ARGV[2]) or ''}
