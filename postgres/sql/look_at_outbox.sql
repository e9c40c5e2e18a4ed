-- Jobs that are due and that no relay has claimed.
SELECT
    count(*)::bigint AS due,
    coalesce(extract(epoch FROM clock_timestamp() - min(run_at)), 0)::float8 AS oldest_seconds
FROM celeriac.outbox
WHERE epoch IS NULL AND run_at <= statement_timestamp()
