-- Note in one step what became of a worker's jobs: batches that came back, slabs that are
-- done, slabs of which little is left, messages that go back to their queues.
--
-- KEYS: slabs of this owner, its running batches, suspects, number of its last settling.
-- ARGV: what the names of its slabs start with; number of this settling; JSON of
--       suspected: [number, place, how often its process died while it ran alone]
--       cleared:   [number, place] of suspects that came through
--       done:      numbers of slabs with nothing left to do
--       back:      numbers of slabs to give back whole
--       changed:   [number, length, [place, …] to keep, [place, …] to give back]
--       batches:   numbers of batches that run no more
--       with places in a slab counted from the oldest message, from 0
-- A slab that another worker has recovered meanwhile is not there any more, or has another
-- length: it is left alone, so that nothing is taken from its new owner.
local prefix, number, work = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local TOLD_SECONDS = 3600
local SUSPICION_SECONDS = 86400

-- Deleting comes first: a full server allows it, and then the rest of the script as well.
redis.call('HDEL', KEYS[1], '')
-- Told twice, because the answer was lost: places in slabs are other ones by now.
if redis.call('GET', KEYS[4]) == number then
    return
end
redis.call('SET', KEYS[4], number, 'EX', TOLD_SECONDS)
for _, suspect in ipairs(work.suspected) do
    local message = redis.call('LINDEX', prefix .. suspect[1], -1 - suspect[2])
    if message then
        redis.call('HSET', KEYS[3], redis.sha1hex(message), suspect[3])
        redis.call('EXPIRE', KEYS[3], SUSPICION_SECONDS)
    end
end
for _, innocent in ipairs(work.cleared) do
    local message = redis.call('LINDEX', prefix .. innocent[1], -1 - innocent[2])
    if message then
        redis.call('HDEL', KEYS[3], redis.sha1hex(message))
    end
end
for _, number in ipairs(work.done) do
    redis.call('UNLINK', prefix .. number)
    redis.call('HDEL', KEYS[1], number)
end
for _, number in ipairs(work.back) do
    local queue = redis.call('HGET', KEYS[1], number)
    while queue and redis.call('LMOVE', prefix .. number, queue, 'LEFT', 'RIGHT') do
    end
    redis.call('HDEL', KEYS[1], number)
end
for _, change in ipairs(work.changed) do
    local number, length, kept, back = change[1], change[2], change[3], change[4]
    local slab, queue = prefix .. number, redis.call('HGET', KEYS[1], number)
    if queue and redis.call('LLEN', slab) == length then
        local messages = redis.call('LRANGE', slab, 0, -1)
        -- Back first: a script that fails half-way is not undone, and twice is better than never.
        for i = #back, 1, -1 do
            redis.call('RPUSH', queue, messages[length - back[i]])
        end
        redis.call('DEL', slab)
        for _, place in ipairs(kept) do
            redis.call('LPUSH', slab, messages[length - place])
        end
        if #kept == 0 then
            redis.call('HDEL', KEYS[1], number)
        end
    end
end
for _, batch in ipairs(work.batches) do
    redis.call('HDEL', KEYS[2], batch)
end
