-- Give up files that are too old or too many. All rows that name a file go together: a worker of
-- an earlier version may have written several.
WITH beyond AS (
    SELECT job_id
    FROM (
        SELECT job_id, row_number() OVER (PARTITION BY report ORDER BY started_at DESC) AS place
        FROM celeriac.report_run
        WHERE expired_at IS NULL AND %(keep_runs)s::bigint IS NOT NULL
    ) AS placed
    WHERE place > %(keep_runs)s::bigint
), due AS MATERIALIZED (
    SELECT run.job_id, run.url
    FROM celeriac.report_run AS run
    WHERE run.expired_at IS NULL
      -- Its job's result may still name it.
      AND run.finished_at < now() - make_interval(secs => %(keep_at_least_seconds)s)
      AND (
        run.finished_at < now() - make_interval(secs => %(keep_seconds)s)
        OR run.job_id IN (SELECT beyond.job_id FROM beyond)
      )
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE celeriac.report_run AS run
SET expired_at = clock_timestamp()
WHERE run.expired_at IS NULL AND run.url IN (SELECT due.url FROM due)
RETURNING run.job_id, run.report, run.url
