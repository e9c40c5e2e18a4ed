-- Give the messages of a dead owner back to their queues, a bounded number in a call.
--
-- The oldest message is rightmost again, where it is taken first: slabs go back newest first, and
-- each from its newest message on. What had been handed to a child when the owner died is suspect
-- and goes to the other end, or the same job would be the first again after each crash.
--
-- Everybody may call this at any time, also at once: what one call moved, no other finds. Whoever
-- dies between two calls leaves the rest to the others; batches are counted in the call that
-- strikes them from `running`. Keys of slabs are made up here, so this is not for Redis Cluster.
--
-- KEYS: owners, recovered:<owner>, slabs:<owner>, running:<owner>, suspects.
-- ARGV: owner, its stamp as the caller saw it, what its slabs' keys start with, most messages,
--       most bytes.
-- Returns state, messages given back, messages that were found dispatched. States: 0 done;
-- 1 more is left; 2 nothing to do here: the owner has renewed, or is gone.
local DONE, MORE, NOTHING = 0, 1, 2
local RECOVERED_SECONDS, SUSPECT_SECONDS = 3600, 86400
local owners, recovered, slabs, running, suspects = unpack(KEYS)
local owner, stamp, slab_start = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local messages_left, bytes_left = tonumber(ARGV[4]), tonumber(ARGV[5])
local given_back, dispatched = 0, 0

local function spend(message)
    messages_left, bytes_left = messages_left - 1, bytes_left - #message
end

local function is_spent()
    return messages_left <= 0 or bytes_left <= 0
end

-- The messages that one entry of `running` names, as far as they are still there, and whether it
-- is that of a job which ran alone in its batch.
local function messages_of(entry)
    local batch, found, named = cjson.decode(entry), {}, 0
    for _, part in ipairs(batch.parts) do
        local slab = slab_start .. string.format('%.0f', part[1])
        for _, position in ipairs(part[2]) do
            named = named + 1
            found[#found + 1] = redis.call('LINDEX', slab, -1 - position) or nil
        end
    end
    return found, batch.alone == true and named == 1
end

local function suspect(message, is_alone)
    local digest = redis.sha1hex(message)
    redis.call('HSETNX', suspects, digest, 0)
    if is_alone then
        redis.call('HINCRBY', suspects, digest, 1)
    end
    dispatched = dispatched + 1
    spend(message)
end

-- Give back one slab as far as this call may; tell whether that was all of it.
local function give_back(slab, list, may_hold_suspects)
    while not is_spent() do
        local side = 'RIGHT'
        if may_hold_suspects then
            local next_one = redis.call('LINDEX', slab, 0)
            if next_one and redis.call('HEXISTS', suspects, redis.sha1hex(next_one)) == 1 then
                side = 'LEFT'
            end
        end
        local message = redis.call('LMOVE', slab, list, 'LEFT', side)
        if not message then
            return true
        end
        given_back = given_back + 1
        spend(message)
    end
    return false
end

if tonumber(redis.call('ZSCORE', owners, owner) or nil) ~= stamp then
    return {NOTHING, 0, 0}
end

-- Deleting comes first: a full server allows it, and then the rest of the script as well.
local is_first_call = redis.call('GET', recovered) ~= 'begun'
redis.call('DEL', recovered)
redis.call('SET', recovered, 'begun', 'EX', RECOVERED_SECONDS)

local batches = redis.call('HKEYS', running)
-- Of several calls only the first sees everything that ran at the time of death.
local was_only_batch = is_first_call and #batches == 1
for _, number in ipairs(batches) do
    -- An entry that cannot be read must not hold up the others, nor the messages.
    local is_read, found, is_alone = pcall(messages_of, redis.call('HGET', running, number))
    for _, message in ipairs(is_read and found or {}) do
        suspect(message, is_alone and was_only_batch)
    end
    redis.call('EXPIRE', suspects, SUSPECT_SECONDS)
    redis.call('HDEL', running, number)
    if is_spent() then
        return {MORE, given_back, dispatched}
    end
end

local numbers = redis.call('HKEYS', slabs)
table.sort(numbers, function(one, other) return tonumber(one) > tonumber(other) end)
local are_suspects = redis.call('EXISTS', suspects) == 1
for _, number in ipairs(numbers) do
    local list = redis.call('HGET', slabs, number)
    if not give_back(slab_start .. number, list, are_suspects) then
        return {MORE, given_back, dispatched}
    end
    redis.call('HDEL', slabs, number)
end

redis.call('ZREM', owners, owner)
redis.call('SET', recovered, 'done', 'EX', RECOVERED_SECONDS)
return {DONE, given_back, dispatched}
