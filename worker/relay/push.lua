-- Push the jobs of one push of an epoch, and count it: both or nothing.
--
-- KEYS  1 the epoch's number of its last push · 2… lists (queues)
-- ARGV  1 number of this push · then for each list how many messages, and the messages
-- Returns 1 if they are pushed, now or by an earlier call whose answer was lost; 0 if the epoch
-- is not as its relay knows it: Redis forgot pushes, or somebody closed it.
local seen = redis.call('GET', KEYS[1])
if seen == ARGV[1] then
    return 1
end
if seen ~= string.format('%.0f', tonumber(ARGV[1]) - 1) then
    return 0
end
-- Before the first write: what fails after one is not undone.
for place = 2, #KEYS do
    local kind = redis.call('TYPE', KEYS[place]).ok
    if kind ~= 'list' and kind ~= 'none' then
        return redis.error_reply('WRONGTYPE queue ' .. KEYS[place] .. ' must be a list, is a ' .. kind)
    end
end
local at = 2
for place = 2, #KEYS do
    local count = tonumber(ARGV[at])
    for first = at + 1, at + count, 1000 do
        redis.call('LPUSH', KEYS[place], unpack(ARGV, first, math.min(first + 999, at + count)))
    end
    at = at + count + 1
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
