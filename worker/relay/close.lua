-- Close an epoch: no push of it is taken any more, however late it comes.
--
-- KEYS  1 the epoch's number of its last push
-- Returns that number; 0 if Redis knows nothing of the epoch.
local seen = string.match(redis.call('GET', KEYS[1]) or '0', '^%d+')
redis.call('SET', KEYS[1], seen .. ' closed')
return tonumber(seen)
