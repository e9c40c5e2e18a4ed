-- Renew the lease of one owner, and report how the others stand.
--
-- KEYS: owners, recovered:<owner>.  ARGV: owner.
-- Returns state, then every owner followed by its stamp. States: 0 renewed; 1 renewed, but the
-- jobs were given back meanwhile, which the owner has not taken note of; 2 not renewed, because they are being given back just now.
local state = 0
local recovery = redis.call('GET', KEYS[2])
if recovery == 'begun' and redis.call('ZSCORE', KEYS[1], ARGV[1]) then
    -- A new stamp would stop the recovery half-way, with jobs left that nobody remembers.
    state = 2
else
    state = recovery and 1 or 0
    -- Deleting comes first: a full server allows it, and then the rest of the script as well.
    redis.call('ZREM', KEYS[1], '')
    local now = redis.call('TIME')
    local stamp = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
    redis.call('ZADD', KEYS[1], stamp, ARGV[1])
end
return {state, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
