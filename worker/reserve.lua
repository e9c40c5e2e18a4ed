-- Move messages from their queues into kombu's books of unacknowledged ones, in one step:
-- whoever dies at whatever moment, a message is either in its queue or in the books.
--
-- KEYS: unacked, unacked_index, then the lists of the queues, most urgent first.
-- ARGV: most messages, most bytes, the time, then for each list the name of its queue.
-- Returns triples: number of the list (from 1), the message, 1 if it is in the books.
local left, bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken = {}
for list = 3, #KEYS do
    while left > 0 and bytes > 0 do
        local raw = redis.call('RPOP', KEYS[list])
        if not raw then
            break
        end
        left = left - 1
        bytes = bytes - #raw
        local in_books = 0
        -- What is no plain message is not written there: kombu could never read it back.
        local is_json, message = pcall(cjson.decode, raw)
        if is_json and not string.find(raw, '[\128-\255]') and type(message) == 'table' then
            local properties = message['properties']
            local tag = type(properties) == 'table' and properties['delivery_tag']
            if type(tag) == 'string' then
                redis.call('ZADD', KEYS[2], ARGV[3], tag)
                local place = '"",' .. cjson.encode(ARGV[list + 1])
                redis.call('HSET', KEYS[1], tag, '[' .. raw .. ',' .. place .. ']')
                in_books = 1
            end
        end
        taken[#taken + 1] = {list - 2, raw, in_books}
    end
end
return taken
