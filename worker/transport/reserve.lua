-- Move messages from the first queue that has any into a slab of this worker, in one step:
-- whoever dies at whatever moment, a message is either in its queue or under a lease.
--
-- What BLMOVE put under the lease while this worker waited comes first, and with it whatever
-- else its queue has by now.
--
-- KEYS: owners, recovered:<owner>, slabs:<owner>, suspects, cancelled, the slab that BLMOVE fills,
--       the slab to fill now, then the lists of the queues, most urgent first.
-- ARGV: owner, number of the slab, most messages, most bytes, number of BLMOVE's slab, the list
--       that was waited for last, the list to wait for next, '1' if BLMOVE's answer came.
-- Returns state and more. States:
--    n > 0  number of the list, how many messages, texts with the messages joined by commas, and
--           for each suspect among them its position (from 0) and how often it killed; then how
--           many of the first are not in the texts, because BLMOVE's answer was that message, and
--           more than 0 if there are suspects or cancelled jobs
--    0      all queues are empty, BLMOVE's slab is ready; how many slabs are in the books; more
--           than 0 if there are suspects or cancelled jobs
--    -1     others gave this owner's jobs back: it has to forget them first
local FIRST_LIST = 8
-- Messages that are read in one call, at most, and joined into one text: copying a whole slab at
-- once takes longer than moving it.
local AT_ONCE = 32
local owners, recovered, slabs, suspects, cancelled, waiting_slab, slab =
    unpack(KEYS, 1, FIRST_LIST - 1)
local owner, number, waiting_number = ARGV[1], ARGV[2], ARGV[5]
local waited_for, next_waited_for = ARGV[6], ARGV[7]
local messages_left, bytes_left = tonumber(ARGV[3]), tonumber(ARGV[4])
local taken = {}
local has_suspects = redis.call('EXISTS', suspects)
local doubts = has_suspects + redis.call('EXISTS', cancelled)

-- Deleting comes first: a full server allows it, and then the rest of the script as well.
redis.call('HDEL', slabs, '')
if redis.call('EXISTS', recovered) == 1 then
    return {-1}
end
-- A server that forgot everything must not keep slabs of an owner that nobody watches.
if not redis.call('ZSCORE', owners, owner) then
    local now = redis.call('TIME')
    redis.call('ZADD', owners, now[1] * 1000 + math.floor(now[2] / 1000), owner)
end

-- The oldest messages of a list, as far as the bounds go; few at once where they are large.
local function read_oldest(list, length)
    local wanted, largest = 1, 1
    while #taken < length and messages_left > 0 and bytes_left > 0 do
        wanted = math.min(wanted, messages_left, math.ceil(bytes_left / largest))
        local found = redis.call('LRANGE', list, -#taken - wanted, -#taken - 1)
        for place = #found, 1, -1 do
            local message = found[place]
            if bytes_left > 0 then
                taken[#taken + 1] = message
                messages_left, bytes_left = messages_left - 1, bytes_left - #message
                largest = math.max(largest, #message)
            end
        end
        wanted = math.min(2 * wanted, AT_ONCE)
    end
end

local function take_from(list)
    local length = redis.call('LLEN', list)
    read_oldest(list, length)
    -- One copy of all of them, unsorted: moved one by one they would cost twice as much.
    redis.call('SORT', list, 'BY', 'nosort', 'LIMIT', length - #taken, #taken, 'STORE', slab)
    redis.call('LTRIM', list, 0, -#taken - 1)
end

local function joined(first)
    local texts = {}
    for from = first, #taken, AT_ONCE do
        local to = math.min(from + AT_ONCE - 1, #taken)
        texts[#texts + 1] = table.concat(taken, ',', from, to)
    end
    return texts
end

local function suspects_among(messages)
    local found = {}
    if has_suspects == 1 then
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

local waited = redis.call('LLEN', waiting_slab)
local known = (waited == 1 and ARGV[8] == '1') and 1 or 0
if waited > 0 then
    -- The books know better than a connection that is new.
    waited_for = redis.call('HGET', slabs, waiting_number) or waited_for
    -- In front of its queue again, also if that is not consumed any more.
    while redis.call('LMOVE', waiting_slab, waited_for, 'LEFT', 'RIGHT') do
    end
end
for index = FIRST_LIST, #KEYS do
    local list = KEYS[index]
    local is_due = redis.call('EXISTS', list) == 1
    if waited > 0 then
        is_due = list == waited_for
    end
    if is_due then
        -- First: a slab that is not in the books belongs to nobody.
        redis.call('HSET', slabs, number, list)
        take_from(list)
        local texts = joined(known + 1)
        return {index - FIRST_LIST + 1, #taken, texts, suspects_among(taken), known, doubts}
    end
end
redis.call('HSET', slabs, waiting_number, next_waited_for)
return {0, redis.call('HLEN', slabs), doubts}
