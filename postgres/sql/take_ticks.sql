-- Decide ticks, note those that become jobs, and enqueue them: all at once, so that whoever dies
-- or stands still in between holds no lock. Of two schedulers the second waits here for the first,
-- finds another decided_until, and takes nothing.
WITH decided AS (
    UPDATE celeriac.schedule SET decided_until = %(until)s
    WHERE
        report = %(report)s AND cron = %(cron)s AND timezone = %(timezone)s
        AND decided_until = %(since)s
    RETURNING report
),

fresh AS (
    -- Another schedule of the report may have had the same tick.
    INSERT INTO celeriac.tick (report, tick, job)
    SELECT decided.report, planned.tick, planned.id
    FROM decided, unnest(%(ticks)s::timestamptz[], %(ids)s::text[]) AS planned (tick, id)
    ORDER BY planned.tick
    ON CONFLICT (report, tick) DO NOTHING
    RETURNING job
),

enqueued AS (
    INSERT INTO celeriac.outbox (id, task, body, run_at)
    SELECT fresh.job, %(task)s, planned.body, clock_timestamp()
    FROM fresh
    JOIN unnest(%(ids)s::text[], %(bodies)s::text[]) AS planned (id, body) ON planned.id = fresh.job
    ORDER BY fresh.job
    ON CONFLICT (id) DO NOTHING
    RETURNING id
),

occupied AS (
    -- Whoever enqueued the same job did no harm.
    SELECT fresh.job
    FROM fresh
    JOIN unnest(%(ids)s::text[], %(bodies)s::text[]) AS planned (id, body) ON planned.id = fresh.job
    WHERE
        EXISTS (SELECT FROM celeriac.job WHERE job.id = fresh.job)
        OR (
            fresh.job NOT IN (SELECT enqueued.id FROM enqueued)
            AND NOT EXISTS (
                SELECT FROM celeriac.outbox
                WHERE
                    outbox.id = fresh.job AND outbox.task = %(task)s AND outbox.body = planned.body
            )
        )
)

SELECT
    (SELECT count(*) FROM decided) > 0 AS is_ours,
    ARRAY(SELECT id FROM enqueued ORDER BY id) AS enqueued,
    ARRAY(SELECT job FROM occupied ORDER BY job) AS occupied
