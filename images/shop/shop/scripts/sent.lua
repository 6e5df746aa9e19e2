-- KEYS: outbox. ARGV: entries that the orders' database has.
for _, entry in ipairs(ARGV) do redis.call('LREM', KEYS[1], 0, entry) end
return {}
