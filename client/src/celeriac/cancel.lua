-- Cancel a job: note that it must not start, and take its message out of its queue if it is found
-- near one of the ends.
--
-- A message whose process died while it was with a child stays: it may have committed, and only
-- a worker can ask. So does one that came by the outbox: it would come again, until a worker has
-- written its end into PostgreSQL.
--
-- KEYS: cancelled, suspects, then the lists to look into.
-- ARGV: id, milliseconds for which the note is kept, most messages and bytes to look at, the
--       message if it is known or '', then how its id may be written in a message.
-- Returns 1 if the message was taken, else 0; and 1 if its producer asked for a result.
local FIRST_LIST, FIRST_FORM = 3, 6
local cancelled, suspects = KEYS[1], KEYS[2]
local id, kept, known = ARGV[1], tonumber(ARGV[2]), ARGV[5]
local messages_left, bytes_left = tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', cancelled, '-inf', now - kept)
redis.call('ZADD', cancelled, now, id)
redis.call('PEXPIRE', cancelled, kept)

local function is_the_job(raw)
    for form = FIRST_FORM, #ARGV do
        if string.find(raw, ARGV[form], 1, true) then
            local is_json, message = pcall(cjson.decode, raw)
            return is_json and type(message.headers) == 'table' and message.headers.id == id
        end
    end
    return false
end

local function take(list, raw, from)
    if redis.call('HEXISTS', suspects, redis.sha1hex(raw)) == 1 then
        return {0, 0}
    end
    local is_json, message = pcall(cjson.decode, raw)
    if is_json and message.headers.relayed == true then
        return {0, 0}
    end
    redis.call('LREM', list, from, raw)
    local wants_result = is_json and message.headers.ignore_result ~= true
    return {1, wants_result and 1 or 0}
end

if known ~= '' then
    for index = FIRST_LIST, #KEYS do
        for _, rank in ipairs({-1, 1}) do
            if redis.call('LPOS', KEYS[index], known, 'RANK', rank, 'MAXLEN', messages_left) then
                return take(KEYS[index], known, rank)
            end
        end
    end
    return {0, 0}
end

for depth = 0, messages_left do
    local is_over = true
    for index = FIRST_LIST, #KEYS do
        for _, side in ipairs({-1, 1}) do
            local raw = redis.call('LINDEX', KEYS[index], side == 1 and depth or -1 - depth)
            if raw then
                is_over = false
                if is_the_job(raw) then
                    return take(KEYS[index], raw, side)
                end
                messages_left, bytes_left = messages_left - 1, bytes_left - #raw
                if messages_left <= 0 or bytes_left <= 0 then
                    return {0, 0}
                end
            end
        end
    end
    if is_over then
        break
    end
end
return {0, 0}
