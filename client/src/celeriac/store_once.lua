-- Store a result and tell whoever waits for it, unless there is one.
--
-- KEYS: the result's key. ARGV: the text, and for how many seconds it is kept.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then
    redis.call('PUBLISH', KEYS[1], ARGV[1])
end
