-- Enqueue at a fraction of the cost: what is plain is seen at one look, in the functions
-- themselves; what is not goes to the checks of before, which know the words for it.
--
-- A worker of the previous version runs on this schema: names, arguments and answers stay.

-- RETURN binds names now, so that no search_path is set at each call, and the planner writes the
-- expression in place of the call. 60 bits of time (milliseconds and fractions in 4096ths) around
-- the version; the variant and the rest are those of a random UUID.
CREATE OR REPLACE FUNCTION celeriac.uuid7() RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN (
    pg_catalog.overlay(
        pg_catalog.lpad(
            pg_catalog.to_hex(
                (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
                * 512 / 125
            ), 15, '0'
        ), '7', 13, 0
    ) || pg_catalog.substr(pg_catalog.gen_random_uuid()::text, 20)
)::uuid::text;

-- What check_job would let pass; where this says no, it decides.
CREATE FUNCTION celeriac.is_plain_ingest(task text, kwargs jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN task = 'celeriac.ingest' AND pg_catalog.jsonb_typeof(kwargs) = 'object'
        AND pg_catalog.jsonb_typeof(kwargs -> 'target') = 'string'
        AND pg_catalog.jsonb_typeof(kwargs -> 'rows') = 'array'
    THEN
        kwargs - '{target,rows}'::text[] = '{}' AND kwargs -> 'target' <> '""'
        AND pg_catalog.jsonb_array_length(kwargs -> 'rows') BETWEEN 1 AND 10000
        AND NOT pg_catalog.jsonb_path_exists(
            kwargs -> 'rows', 'strict $[*] ? (@.type() != "object")'
        )
        AND pg_catalog.pg_column_size(kwargs) <= 1048576
    ELSE false
END;

-- One look for the usual job: every expression of a function is set up anew in each transaction.
CREATE OR REPLACE FUNCTION celeriac.enqueue(
    task text, kwargs jsonb, run_at timestamptz DEFAULT now(), id text DEFAULT NULL,
    options jsonb DEFAULT NULL
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    job_id text := coalesce(id, celeriac.uuid7());
BEGIN
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

-- Enqueue what is less usual, or refuse it.
CREATE FUNCTION celeriac.enqueue_checked(
    task text, kwargs jsonb, run_at timestamptz, id text, options jsonb
) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    job_id text := coalesce(id, celeriac.uuid7());
    due timestamptz := celeriac.due_time(run_at);
    wishes jsonb := celeriac.read_options(options);
BEGIN
    PERFORM celeriac.check_job(task, kwargs);
    IF id IS NULL OR current_setting('transaction_isolation') = 'read committed' THEN
        IF id IS NOT NULL THEN
            PERFORM celeriac.check_id(id);
        END IF;
        INSERT INTO celeriac.outbox (id, task, kwargs, run_at, options)
        VALUES (job_id, task, kwargs, due, wishes)
        ON CONFLICT ON CONSTRAINT outbox_pkey DO NOTHING;
        RETURN job_id;
    END IF;
    RETURN celeriac.enqueue_unseen(task, kwargs, due, job_id, wishes);
END
$$;

CREATE OR REPLACE FUNCTION celeriac.enqueue_many(
    task text, kwargs jsonb[], run_at timestamptz DEFAULT now(), ids text[] DEFAULT NULL,
    options jsonb DEFAULT NULL
) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    due timestamptz := celeriac.due_time(run_at);
    wishes jsonb := celeriac.read_options(options);
    one jsonb;
    given text;
BEGIN
    IF cardinality(ids) <> cardinality(kwargs) THEN
        PERFORM celeriac.refuse_job(format(
            'ids must be as many as kwargs, got %s for %s', cardinality(ids), cardinality(kwargs)
        ));
    END IF;
    IF EXISTS (
        SELECT FROM unnest(kwargs) AS item (one)
        WHERE celeriac.is_plain_ingest(task, item.one) IS NOT TRUE
    ) THEN
        FOREACH one IN ARRAY kwargs LOOP
            PERFORM celeriac.check_job(task, one);
        END LOOP;
    END IF;
    IF ids IS NULL THEN
        RETURN QUERY
            INSERT INTO celeriac.outbox AS entry (id, task, kwargs, run_at, options)
            SELECT celeriac.uuid7(), task, item.one, due, wishes
            FROM unnest(kwargs) AS item (one)
            RETURNING entry.id;
        RETURN;
    END IF;
    FOREACH given IN ARRAY ids LOOP
        PERFORM celeriac.check_id(given);
    END LOOP;
    IF array_position(ids, NULL) IS NULL
        AND current_setting('transaction_isolation') = 'read committed'
    THEN
        -- In the order of their ids: another transaction may enqueue the same in another order.
        INSERT INTO celeriac.outbox (id, task, kwargs, run_at, options)
        SELECT item.given, task, item.one, due, wishes
        FROM unnest(kwargs, ids) AS item (one, given)
        ORDER BY item.given COLLATE "C"
        ON CONFLICT ON CONSTRAINT outbox_pkey DO NOTHING;
        RETURN QUERY SELECT unnest(ids);
        RETURN;
    END IF;
    RETURN QUERY
        SELECT answer.id FROM (
            SELECT celeriac.enqueue(task, asked.one, due, asked.given, options) AS id, asked.place
            FROM (
                SELECT item.one, item.given, item.place
                FROM unnest(kwargs, ids) WITH ORDINALITY AS item (one, given, place)
                ORDER BY item.given COLLATE "C" OFFSET 0
            ) AS asked
            OFFSET 0
        ) AS answer ORDER BY answer.place;
END
$$;

REVOKE ALL ON FUNCTION celeriac.is_plain_ingest, celeriac.enqueue_checked FROM PUBLIC;
GRANT EXECUTE ON FUNCTION celeriac.is_plain_ingest, celeriac.enqueue_checked TO celeriac_definer;
