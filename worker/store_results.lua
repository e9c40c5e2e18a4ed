-- Store results that differ by their ids alone, and tell whoever waits for one.
-- The keys are made here: sending each beside its text would double what Redis has to read.
--
-- ARGV: start of every key, seconds until it expires (0: never), end of every text,
--       then in turn the start of some texts, and the ids that it is for, with blanks between.
local prefix, seconds, tail = ARGV[1], ARGV[2], ARGV[3]
for group = 4, #ARGV, 2 do
    local head = ARGV[group]
    for id in string.gmatch(ARGV[group + 1], '[^ ]+') do
        local key, text = prefix .. id, head .. id .. tail
        if seconds == '0' then
            redis.call('SET', key, text)
        else
            redis.call('SETEX', key, seconds, text)
        end
        redis.call('PUBLISH', key, text)
    end
end
