-- What workers take that the checks did not know: rows for several targets in one job, and reports
-- that wait for a commit. What nobody would take they let through: too long a name of a task, an id
-- of our own replays, and a body whose text is far larger than what PostgreSQL holds of it: of
-- 1e131071 it holds 22 bytes, and of a value that was compressed any part.
--
-- A worker of the previous version runs on this schema: names, arguments and answers stay.

-- Only what is for one target is plain.
CREATE OR REPLACE FUNCTION celeriac.is_plain_ingest(task text, kwargs jsonb) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN task = 'celeriac.ingest' AND kwargs OPERATOR(pg_catalog.@@)
        'strict $.target.type() == "string" && $.target != "" && $.target != "*"
        && $.rows.type() == "array" && $.rows.size() >= 1 && $.rows.size() <= 10000
        && !(exists($.rows[*] ? (@.type() != "object")))'
    THEN
        kwargs - '{target,rows}'::text[] = '{}'
        AND pg_catalog.octet_length(kwargs::text) <= 1048576
    ELSE false
END;

CREATE OR REPLACE FUNCTION celeriac.check_rows(rows jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    odd record;
BEGIN
    IF jsonb_typeof(rows) IS DISTINCT FROM 'array' THEN
        PERFORM celeriac.refuse_job(
            format('rows must be a list of objects, got %s', celeriac.shown(rows))
        );
    ELSIF jsonb_array_length(rows) NOT BETWEEN 1 AND 10000 THEN
        PERFORM celeriac.refuse_job(
            format('rows must be 1 to 10000, got %s', jsonb_array_length(rows))
        );
    ELSIF jsonb_path_exists(rows, 'strict $[*] ? (@.type() != "object")') THEN
        SELECT value, number INTO odd
        FROM jsonb_array_elements(rows) WITH ORDINALITY AS row (value, number)
        WHERE jsonb_typeof(value) <> 'object' LIMIT 1;
        PERFORM celeriac.refuse_job(
            format('row %s must be an object, got %s', odd.number, celeriac.shown(odd.value))
        );
    END IF;
END
$$;

-- An object from targets to the rows of each.
CREATE FUNCTION celeriac.check_rows_of_targets(rows jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    target text;
    those jsonb;
    total bigint := 0;
BEGIN
    IF jsonb_typeof(rows) IS DISTINCT FROM 'object' THEN
        PERFORM celeriac.refuse_job(format(
            'rows must be an object from targets to lists of rows for target "*", got %s',
            celeriac.shown(rows)
        ));
    END IF;
    FOR target, those IN SELECT key, value FROM jsonb_each(rows) LOOP
        IF jsonb_typeof(those) <> 'array' THEN
            PERFORM celeriac.refuse_job(format(
                'rows of target %s must be a list of objects, got %s',
                to_json(target), celeriac.shown(those)
            ));
        ELSIF those <> '[]' THEN
            PERFORM celeriac.check_rows(those);
        END IF;
        total := total + jsonb_array_length(those);
    END LOOP;
    IF total NOT BETWEEN 1 AND 10000 THEN
        PERFORM celeriac.refuse_job(format('rows must be 1 to 10000, got %s', total));
    END IF;
END
$$;

-- Numbers as in celeriac.contract; a test compares them.
CREATE OR REPLACE FUNCTION celeriac.check_id(id text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
BEGIN
    IF length(id) NOT BETWEEN 1 AND 200 THEN
        PERFORM celeriac.refuse_job(format('id must have 1 to 200 characters, got %s', length(id)));
    ELSIF id ~ '[[:cntrl:]]' THEN
        PERFORM celeriac.refuse_job(
            format('id must have printable characters only, got %s', to_json(id))
        );
    ELSIF starts_with(id, 'celeriac.replay-') THEN
        PERFORM celeriac.refuse_job(
            format('id must not begin as those of replays do, got %s', to_json(id))
        );
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION celeriac.check_job(task text, kwargs jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
BEGIN
    IF coalesce(task, '') = '' THEN
        PERFORM celeriac.refuse_job('task must be text of 1 character or more, got nothing');
    ELSIF length(task) > 200 THEN
        PERFORM celeriac.refuse_job(
            format('task must have at most 200 characters, got %s', length(task))
        );
    ELSIF jsonb_typeof(kwargs) IS DISTINCT FROM 'object' THEN
        PERFORM celeriac.refuse_job(format('kwargs must be an object, got %s', celeriac.shown(kwargs)));
    END IF;
    CASE task
    WHEN 'celeriac.ingest' THEN
        PERFORM celeriac.check_fields(task, kwargs, 'target', 'rows');
        PERFORM celeriac.check_text(kwargs, 'target', true);
        IF kwargs ->> 'target' = '*' THEN
            PERFORM celeriac.check_rows_of_targets(kwargs -> 'rows');
        ELSE
            PERFORM celeriac.check_rows(kwargs -> 'rows');
        END IF;
    WHEN 'celeriac.report' THEN
        PERFORM celeriac.check_fields(task, kwargs, 'name', 'params', 'format', 'fresh_for', 'after');
        PERFORM celeriac.check_text(kwargs, 'name', true);
        PERFORM celeriac.check_text(kwargs, 'format', false);
        PERFORM celeriac.check_text(kwargs, 'after', false);
        PERFORM celeriac.check_object(kwargs, 'params');
    WHEN 'celeriac.ingest_file' THEN
        PERFORM celeriac.check_fields(task, kwargs, 'target', 'url', 'format', 'options');
        PERFORM celeriac.check_text(kwargs, 'target', true);
        PERFORM celeriac.check_text(kwargs, 'url', true);
        PERFORM celeriac.check_text(kwargs, 'format', false);
        IF kwargs ->> 'format' NOT IN ('csv', 'jsonl', 'parquet') THEN
            PERFORM celeriac.refuse_job(format(
                'format must be csv, jsonl or parquet, got %s', celeriac.shown(kwargs -> 'format')
            ));
        END IF;
        PERFORM celeriac.check_object(kwargs, 'options');
    ELSE
        IF starts_with(task, 'celeriac.') THEN
            PERFORM celeriac.refuse_job(format(
                'task must be celeriac.ingest, celeriac.ingest_file, celeriac.report or one of your own, got %s',
                to_json(task)
            ));
        END IF;
    END CASE;
    IF octet_length(kwargs::text) > 8388608 - 128 THEN
        PERFORM celeriac.refuse_job(format(
            'body must be at most 8388608 bytes, got %s', octet_length(kwargs::text) + 128
        ));
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION celeriac.read_options(options jsonb) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    expires timestamptz;
BEGIN
    IF options IS NULL THEN
        RETURN NULL;
    ELSIF jsonb_typeof(options) <> 'object' THEN
        PERFORM celeriac.refuse_job(format('options must be an object, got %s', celeriac.shown(options)));
    END IF;
    PERFORM celeriac.check_fields('options', options, 'track', 'priority', 'expires', 'group');
    IF options ? 'group' THEN
        PERFORM celeriac.check_group(options -> 'group');
    END IF;
    IF jsonb_typeof(options -> 'track') <> 'boolean' THEN
        PERFORM celeriac.refuse_job(
            format('track must be true or false, got %s', celeriac.shown(options -> 'track'))
        );
    ELSIF options -> 'priority' NOT IN ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9') THEN
        PERFORM celeriac.refuse_job(
            format('priority must be 0 to 9, got %s', celeriac.shown(options -> 'priority'))
        );
    ELSIF options ->> 'expires' IS NULL THEN
        RETURN options - 'expires';
    END IF;
    BEGIN
        expires := options ->> 'expires';
    EXCEPTION WHEN data_exception THEN
        PERFORM celeriac.refuse_job(format(
            'expires must be a time such as 2027-01-31T12:00Z, got %s',
            celeriac.shown(options -> 'expires')
        ));
    END;
    -- What Celery can read.
    IF expires NOT BETWEEN '0001-01-02 00:00Z' AND '9999-12-30 00:00Z' THEN
        PERFORM celeriac.refuse_job(format('expires must be a time that comes, got %s', expires));
    END IF;
    RETURN options || jsonb_build_object('expires', expires);
END
$$;

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
                length(id) BETWEEN 1 AND 200 AND id !~ '[[:cntrl:]]|^celeriac\.replay-'
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

REVOKE ALL ON FUNCTION celeriac.check_rows_of_targets FROM PUBLIC;
GRANT EXECUTE ON FUNCTION celeriac.check_rows_of_targets TO celeriac_definer;
