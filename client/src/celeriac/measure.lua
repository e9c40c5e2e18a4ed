-- Count the messages of a queue and read when the oldest of each list was enqueued.
--
-- KEYS: the lists of the queue.
-- Returns their sum, the server's time in seconds, and the times found in the oldest messages.
-- A quote inside a text of the message is escaped, so only the header itself can match.
local waiting, stamps = 0, {}
for _, list in ipairs(KEYS) do
    waiting = waiting + redis.call('LLEN', list)
    local oldest = redis.call('LINDEX', list, -1)
    if oldest then
        local stamp = string.match(oldest, '"enqueued_at": ?"([^"\\]+)"')
        if stamp then
            table.insert(stamps, stamp)
        end
    end
end
return {waiting, redis.call('TIME')[1], unpack(stamps)}
