-- To plan the insert into the ledger takes as long as to run it for a single job: a function's
-- statements are planned once a session. The ledger's own rules hold: it runs as its caller.
--
-- A worker of the previous version runs on this schema: it does not call this.
CREATE FUNCTION celeriac.claim_new_jobs(
    task text, worker text, ids text[], subjects text[], targets text[], rows integer[],
    digests text[]
) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    claimed bigint;
    transaction bigint := pg_catalog.pg_current_xact_id()::text::bigint;
    claimed_at timestamptz := pg_catalog.clock_timestamp();
BEGIN
    INSERT INTO celeriac.job
        (id, task, subject, state, rows, inserted, digest, attempts, batch, worker, committed_at)
    SELECT
        asked.id, claim_new_jobs.task, asked.subject, 'committed', asked.rows, asked.rows,
        pg_catalog.decode(asked.digest, 'hex'), 1, transaction, claim_new_jobs.worker,
        claimed_at
    FROM (
        SELECT
            pg_catalog.unnest(ids) AS id,
            pg_catalog.unnest(subjects) AS subject,
            pg_catalog.unnest(claim_new_jobs.rows) AS rows,
            pg_catalog.unnest(digests) AS digest
    ) AS asked
    WHERE NOT EXISTS (SELECT FROM celeriac.target_hold WHERE target = ANY (targets))
    ORDER BY asked.id COLLATE "C";
    GET DIAGNOSTICS claimed = ROW_COUNT;
    RETURN claimed;
END
$$;

COMMENT ON FUNCTION celeriac.claim_new_jobs IS
    'Writes jobs as committed that nobody knows yet, in the order of their ids; tells how many.';
