-- Put before every script that changes something, so that the record of an answer and its effect are one.
-- KEYS[1] holds what was answered to this idempotency key; ARGV[1] is the request's fingerprint, ARGV[2] how many
-- seconds the answer is kept.
local function earlier()
  local record = redis.call('GET', KEYS[1])
  if not record then return nil end
  local gap = string.find(record, ' ', 1, true)
  if string.sub(record, 1, gap - 1) ~= ARGV[1] then return {'mismatch', ''} end
  return {'stored', string.sub(record, gap + 1)}
end

local function keep(answer)
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. answer, 'EX', ARGV[2])
  return {'done', answer}
end

