-- Ask the ledger for many jobs at once, in the order of their ids, so that two
-- batches with the same ids never wait for each other in a circle.
--
-- A new job is written as it will stand if all goes well; what goes otherwise
-- is corrected in the same transaction. A held job is taken over, and so is
-- one of many transactions that is under way. Whatever else was there already
-- comes back as it stands.
WITH asked AS (
    SELECT id, task, subject, state, rows, digest, attempts, error
    FROM unnest(
        %(ids)s::text[], %(tasks)s::text[], %(subjects)s::text[], %(states)s::text[],
        %(rows)s::integer[], %(digests)s::text[], %(attempts)s::smallint[], %(errors)s::text[]
    ) AS job_in (id, task, subject, state, rows, digest, attempts, error)
), claimed AS (
    INSERT INTO celeriac.job AS job
        (id, task, subject, state, rows, inserted, digest, attempts, error, batch, worker,
         committed_at, set_aside_at)
    SELECT
        id, task, subject, state, rows,
        CASE WHEN state = 'committed' THEN rows ELSE 0 END,
        decode(digest, 'hex'), attempts, error,
        pg_current_xact_id()::text::bigint, %(worker)s,
        CASE WHEN state = 'committed' THEN clock_timestamp() END,
        CASE WHEN state IN ('dead', 'held', 'cancelled') THEN clock_timestamp() END
    FROM asked
    ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET
        -- A redriven job was buried before anybody read what it is about.
        task = EXCLUDED.task,
        subject = EXCLUDED.subject,
        rows = EXCLUDED.rows,
        state = EXCLUDED.state,
        inserted = EXCLUDED.inserted,
        attempts = EXCLUDED.attempts,
        error = EXCLUDED.error,
        batch = EXCLUDED.batch,
        worker = EXCLUDED.worker,
        committed_at = EXCLUDED.committed_at,
        set_aside_at = EXCLUDED.set_aside_at,
        payload = NULL
    WHERE job.state IN ('held', 'working') AND job.digest = EXCLUDED.digest
    RETURNING job.id, (xmax = 0) AS is_new
)
SELECT
    asked.id, claimed.is_new, target_hold.target, target_hold.reason,
    job.state,
    -- An empty digest stands for any payload: the job was cancelled before anybody read it.
    job.digest IN (decode(asked.digest, 'hex'), ''),
    job.rows, job.inserted, job.updated, job.ignored, job.superseded, job.quarantined,
    job.result, job.error
FROM asked
LEFT JOIN claimed ON claimed.id = asked.id
-- As it stood before this statement: nothing for a job that was claimed just now.
LEFT JOIN celeriac.job AS job ON job.id = asked.id
-- A job for several targets names them all, with commas between.
LEFT JOIN LATERAL (
    SELECT target, reason FROM celeriac.target_hold
    WHERE target = ANY (asked.subject || string_to_array(asked.subject, ','))
    -- A report has no target, only a name that may be like one's.
    AND asked.task <> 'celeriac.report'
    ORDER BY target LIMIT 1
) AS target_hold ON true
