-- In the order of their ids, so that two transactions with the same ids never wait in a circle.
INSERT INTO celeriac.outbox (id, task, body, run_at, options)
SELECT id, task, body, greatest(run_at, clock_timestamp()), options
FROM unnest(
    %(ids)s::text[], %(tasks)s::text[], %(bodies)s::text[], %(run_ats)s::timestamptz[],
    %(options)s::jsonb[]
) AS entry (id, task, body, run_at, options)
ORDER BY id COLLATE "C"
ON CONFLICT (id) DO NOTHING
