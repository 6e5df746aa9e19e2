#!lua flags=no-writes
-- KEYS: history, account. ARGV: how many. The count, then the newest entries, oldest first.
local entries = redis.call('LRANGE', KEYS[1], -tonumber(ARGV[1]), -1)
table.insert(entries, 1, redis.call('HGET', KEYS[2], 'views') or '0')
return entries
