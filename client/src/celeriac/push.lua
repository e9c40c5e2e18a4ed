-- Push as many messages as a queue has room for, the first ones first.
--
-- KEYS: the list to push to, then the other lists of its queue.
-- ARGV: most jobs that may wait in all of them, then the messages.
-- Returns how many were pushed, and how many waited before.
local waiting = 0
for _, list in ipairs(KEYS) do
    waiting = waiting + redis.call('LLEN', list)
end
local count = math.min(tonumber(ARGV[1]) - waiting, #ARGV - 1)
if count <= 0 then
    return {0, waiting}
end
redis.call('LPUSH', KEYS[1], unpack(ARGV, 2, count + 1))
return {count, waiting}
