-- KEYS: failures, account. ARGV: seconds of the window. How many attempts now count, and the account's password.
-- An attempt counts as failed until it succeeds: otherwise many at once would all be let through.
local attempts = redis.call('INCR', KEYS[1])
if attempts == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {tostring(attempts), redis.call('HGET', KEYS[2], 'password') or ''}
