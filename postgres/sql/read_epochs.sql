-- Silence either way: after a clock that was put back, a dead relay was last seen in the future.
SELECT
    epoch::text, relay, claimed, remembered, closed_at IS NOT NULL,
    abs(extract(epoch FROM clock_timestamp() - seen_at))::float8
FROM celeriac.relay_epoch
