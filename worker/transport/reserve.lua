-- Move messages from the first queue that has any into a slab of this worker, in one step:
-- whoever dies at whatever moment, a message is either in its queue or under a lease.
--
-- KEYS: owners, recovered:<owner>, slabs:<owner>, suspects, the slab, the slab that was waited
--       for last, then the lists of the queues, most urgent first.
-- ARGV: owner, number of the slab, most messages, most bytes, the list to wait for next,
--       number of the slab that was waited for last, and for which list.
-- Returns: number of the list (from 1), how many messages, the messages joined by commas,
--          and for each suspect among them its position (from 0) and how often it killed.
--          Nothing if all queues are empty; the slab is then ready for BLMOVE.
--          -1 if others gave this owner's jobs back: it has to forget them first.
local FIRST_LIST = 7
local owners, recovered, slabs, suspects, slab, last_slab = unpack(KEYS, 1, FIRST_LIST - 1)
local owner, number, last_number = ARGV[1], ARGV[2], ARGV[6]
local most_messages, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])

-- Deleting comes first: a full server allows it, and then the rest of the script as well.
redis.call('HDEL', slabs, '')
-- BLMOVE may have come late, after a recovery that struck its slab from the books.
if redis.call('EXISTS', last_slab) == 1 then
    redis.call('HSETNX', slabs, last_number, ARGV[7])
end
if redis.call('EXISTS', recovered) == 1 then
    return {-1}
end

-- A server that forgot everything must not keep slabs of an owner that nobody watches.
if not redis.call('ZSCORE', owners, owner) then
    local now = redis.call('TIME')
    redis.call('ZADD', owners, now[1] * 1000 + math.floor(now[2] / 1000), owner)
end

local function suspects_among(messages)
    local found = {}
    if redis.call('EXISTS', suspects) == 1 then
        for position, message in ipairs(messages) do
            local deaths = redis.call('HGET', suspects, redis.sha1hex(message))
            if deaths then
                found[#found + 1] = position - 1
                found[#found + 1] = tonumber(deaths)
            end
        end
    end
    return found
end

for list = FIRST_LIST, #KEYS do
    if redis.call('LLEN', KEYS[list]) > 0 then
        -- First: a slab that is not known belongs to nobody.
        redis.call('HSET', slabs, number, KEYS[list])
        local taken, bytes = {}, 0
        while #taken < most_messages and bytes < most_bytes do
            local message = redis.call('LMOVE', KEYS[list], slab, 'RIGHT', 'LEFT')
            if not message then
                break
            end
            taken[#taken + 1] = message
            bytes = bytes + #message
        end
        return {list - FIRST_LIST + 1, #taken, table.concat(taken, ','), suspects_among(taken)}
    end
end
redis.call('HSET', slabs, number, ARGV[5])
return {}
