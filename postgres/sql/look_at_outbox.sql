-- Jobs that are due and that no relay has claimed, all that wait for anything, and who relays.
SELECT
    count(*) FILTER (WHERE epoch IS NULL AND run_at <= statement_timestamp())::bigint AS due,
    coalesce(
        extract(epoch FROM clock_timestamp() - min(run_at) FILTER (WHERE epoch IS NULL)), 0
    )::float8 AS oldest_seconds,
    count(*)::bigint AS entries,
    (
        SELECT count(*)::int FROM celeriac.relay_epoch
        WHERE closed_at IS NULL AND seen_at > clock_timestamp() - interval '15 seconds'
    ) AS relays
FROM celeriac.outbox
