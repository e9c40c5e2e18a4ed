-- Ask the ledger for many jobs at once, in the order of their ids, so that two
-- batches with the same ids never wait for each other in a circle.
--
-- A new job is written as it will stand if all goes well; what goes otherwise
-- is corrected in the same transaction. A held job is taken over. Whatever
-- else was there already comes back as it stands.
WITH asked AS (
    SELECT id, task, subject, state, rows, digest, attempts, error
    FROM unnest(
        %(ids)s::text[], %(tasks)s::text[], %(subjects)s::text[], %(states)s::text[],
        %(rows)s::integer[], %(digests)s::text[], %(attempts)s::smallint[], %(errors)s::text[]
    ) AS job_in (id, task, subject, state, rows, digest, attempts, error)
), claimed AS (
    INSERT INTO celeriac.job AS job
        (id, task, subject, state, rows, inserted, digest, attempts, error, batch, worker, committed_at)
    SELECT
        id, task, subject, state, rows,
        CASE WHEN state = 'committed' THEN rows ELSE 0 END,
        decode(digest, 'hex'), attempts, error,
        pg_current_xact_id()::text::bigint, %(worker)s,
        CASE WHEN state = 'committed' THEN clock_timestamp() END
    FROM asked
    ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET
        state = EXCLUDED.state,
        inserted = EXCLUDED.inserted,
        attempts = EXCLUDED.attempts,
        error = EXCLUDED.error,
        batch = EXCLUDED.batch,
        worker = EXCLUDED.worker,
        committed_at = EXCLUDED.committed_at,
        payload = NULL
    WHERE job.state = 'held' AND job.digest = EXCLUDED.digest
    RETURNING job.id, (xmax = 0) AS is_new
)
SELECT
    asked.id, claimed.is_new, target_hold.reason,
    job.state, encode(job.digest, 'hex') = asked.digest,
    job.rows, job.inserted, job.updated, job.ignored, job.superseded, job.quarantined,
    job.result, job.error
FROM asked
LEFT JOIN claimed ON claimed.id = asked.id
-- As it stood before this statement: nothing for a job that was claimed just now.
LEFT JOIN celeriac.job AS job ON job.id = asked.id
LEFT JOIN celeriac.target_hold ON target_hold.target = asked.subject
