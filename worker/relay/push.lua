-- Push the jobs of one push of an epoch, and count it: both or nothing.
--
-- KEYS  1 the epoch's number of its last push · 2 the queue for what has none · 3… lists (queues)
-- ARGV  1 number of this push · 2 is '1' if it was sent before · then for each list how many
--       messages, and the messages
-- Returns 1 if they are pushed, now or by an earlier call whose answer was lost; 0 if the epoch
-- is not as its relay knows it: Redis forgot pushes, somebody closed it, or PostgreSQL forgot a
-- claim and gave its number away again.
-- A task may be called like a key that is no list: its jobs go to a worker that buries them, so that
-- the others' jobs need not wait for somebody who mends it.
local seen = redis.call('GET', KEYS[1])
local before = string.format('%.0f', tonumber(ARGV[1]) - 1)
if seen == ARGV[1] and ARGV[2] == '1' then
    return 1
end
if seen == ARGV[1] then
    -- Other messages had this number: who closes the epoch must not take these for pushed.
    redis.call('SET', KEYS[1], before)
    return 0
end
if seen ~= before then
    return 0
end
-- Before the first write: what fails after one is not undone.
local function list_for(place)
    local kind = redis.call('TYPE', KEYS[place]).ok
    return (kind == 'list' or kind == 'none') and KEYS[place] or KEYS[2]
end
local kind = redis.call('TYPE', KEYS[2]).ok
if kind ~= 'list' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE queue ' .. KEYS[2] .. ' must be a list, is a ' .. kind)
end
local at = 3
for place = 3, #KEYS do
    local list, count = list_for(place), tonumber(ARGV[at])
    for first = at + 1, at + count, 1000 do
        redis.call('LPUSH', list, unpack(ARGV, first, math.min(first + 999, at + count)))
    end
    at = at + count + 1
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
