SELECT
    epoch::text, relay, claimed, remembered, closed_at IS NOT NULL,
    extract(epoch FROM clock_timestamp() - seen_at)::float8
FROM celeriac.relay_epoch
