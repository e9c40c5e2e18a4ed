-- An enqueue in three quarters of the steps that it took PostgreSQL before: what is plain is seen
-- by fewer operators, ids come from PostgreSQL 18 itself, and a row is written without asking
-- whether its new id is there.
--
-- A worker of the previous version runs on this schema: names, arguments and answers stay.

-- PostgreSQL makes them itself, from version 18 on.
DO $$
BEGIN
    IF current_setting('server_version_num')::integer >= 180000 THEN
        CREATE OR REPLACE FUNCTION celeriac.uuid7() RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN pg_catalog.uuidv7()::text;
    END IF;
END
$$;

-- What check_job would let pass; where this does not say yes, it decides. STABLE, because the size
-- of a value is no more than that: a function that claims more than its parts is called, which
-- costs more than all of it does in its caller's place. CASE, because the subtraction raises for
-- what is no object, and the planner may try it before the path.
CREATE OR REPLACE FUNCTION celeriac.is_plain_ingest(task text, kwargs jsonb) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN task = 'celeriac.ingest' AND kwargs OPERATOR(pg_catalog.@@)
        'strict $.target.type() == "string" && $.target != "" && $.rows.type() == "array"
        && $.rows.size() >= 1 && $.rows.size() <= 10000
        && !(exists($.rows[*] ? (@.type() != "object")))'
    THEN
        kwargs - '{target,rows}'::text[] = '{}' AND pg_catalog.pg_column_size(kwargs) <= 1048576
    ELSE false
END;

CREATE OR REPLACE FUNCTION celeriac.enqueue(
    task text, kwargs jsonb, run_at timestamptz DEFAULT now(), id text DEFAULT NULL,
    options jsonb DEFAULT NULL
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    job_id text := coalesce(id, celeriac.uuid7());
BEGIN
    -- The usual job, in as few operators as can be: they are all set up anew in each transaction.
    IF id IS NULL AND options IS NULL AND run_at < 'infinity'
        AND celeriac.is_plain_ingest(task, kwargs)
    THEN
        INSERT INTO celeriac.outbox (id, task, kwargs, run_at)
        VALUES (job_id, task, kwargs, greatest(run_at, clock_timestamp()));
        RETURN job_id;
    END IF;
    IF (
        celeriac.is_plain_ingest(task, kwargs) AND coalesce(run_at < 'infinity', true)
        AND (options IS NULL OR options IN ('{"track": true}', '{"track": false}'))
        AND (
            id IS NULL OR (
                length(id) BETWEEN 1 AND 200 AND id !~ '[[:cntrl:]]'
                AND current_setting('transaction_isolation') = 'read committed'
            )
        )
    ) IS NOT TRUE THEN
        RETURN celeriac.enqueue_checked(task, kwargs, run_at, id, options);
    END IF;
    INSERT INTO celeriac.outbox (id, task, kwargs, run_at, options)
    VALUES (job_id, task, kwargs, greatest(run_at, clock_timestamp()), options)
    ON CONFLICT ON CONSTRAINT outbox_pkey DO NOTHING;
    RETURN job_id;
END
$$;
