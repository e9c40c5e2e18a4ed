-- Move messages from their queues into kombu's books of unacknowledged ones, in one step:
-- whoever dies at whatever moment, a message is either in its queue or in the books.
--
-- KEYS: unacked, unacked_index, then the lists of the queues, most urgent first.
-- ARGV: most messages, most bytes, the time, then for each list the name of its queue.
-- Returns triples: number of the list (from 1), the message, its tag in the books or ''.
local left, bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local taken = {}
for list = 3, #KEYS do
    while left > 0 and bytes > 0 do
        local raw = redis.call('LINDEX', KEYS[list], -1)
        if not raw then
            break
        end
        local tag = ''
        -- What has no tag is no message of kombu's form: there is no place for it in the books.
        local is_json, message = pcall(cjson.decode, raw)
        if is_json and type(message) == 'table' then
            local properties = message['properties']
            local found = type(properties) == 'table' and properties['delivery_tag']
            if type(found) == 'string' then
                tag = found
                redis.call('ZADD', KEYS[2], ARGV[3], tag)
                local place = '"",' .. cjson.encode(ARGV[list + 1])
                redis.call('HSET', KEYS[1], tag, '[' .. raw .. ',' .. place .. ']')
            end
        end
        -- Last: a script that fails is not undone.
        redis.call('RPOP', KEYS[list])
        left = left - 1
        bytes = bytes - #raw
        taken[#taken + 1] = {list - 2, raw, tag}
    end
end
return taken
