-- Store how far a job is, unless its result says already that it committed.
--
-- KEYS: the result's key. ARGV: the text to store, its lifetime in seconds (0: for ever), and
-- what a committed job's text begins with.
local stored = redis.call('GET', KEYS[1])
if stored and string.sub(stored, 1, #ARGV[3]) == ARGV[3] then
    return 0
end
if ARGV[2] == '0' then
    redis.call('SET', KEYS[1], ARGV[1])
else
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
