-- The outbox: jobs that are to enter the queue, written in the transactions of whoever enqueues
-- them; the relay's memory of what it pushed; the functions by which applications enqueue.
--
-- A worker of the previous version runs on this schema: it knows nothing of these tables.

CREATE TABLE celeriac.outbox (
    -- The order in which jobs came.
    number     bigint GENERATED ALWAYS AS IDENTITY,
    id         text COLLATE "C" PRIMARY KEY,
    task       text NOT NULL,
    kwargs     jsonb,
    body       text,
    run_at     timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    options    jsonb,
    -- The relay's mark: by whom, and with which of its pushes, the job went to Redis.
    epoch      uuid,
    push       bigint,

    CONSTRAINT outbox_content CHECK ((kwargs IS NULL) <> (body IS NULL)),
    CONSTRAINT outbox_mark CHECK ((epoch IS NULL) = (push IS NULL))
);

COMMENT ON TABLE celeriac.outbox IS 'Jobs to be pushed to Redis; the commit of a job deletes its row.';
COMMENT ON COLUMN celeriac.outbox.body IS 'Body of a Celery message, [args, kwargs, embed], as JSON text; or kwargs is set.';
COMMENT ON COLUMN celeriac.outbox.options IS 'track, priority, expires; headers and properties of a message that was parked.';
COMMENT ON COLUMN celeriac.outbox.epoch IS 'Epoch of the relay that claimed the job; null: still to be pushed, or to be pushed again.';

-- What is to be pushed, in the order in which it falls due.
CREATE INDEX outbox_due ON celeriac.outbox (run_at, number) WHERE epoch IS NULL;

-- Every job costs the table a row, its mark and its deletion: clean up early, all at once.
ALTER TABLE celeriac.outbox SET (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE celeriac.relay_epoch (
    epoch      uuid PRIMARY KEY,
    relay      text NOT NULL,
    -- Number of the last push that was claimed.
    claimed    bigint NOT NULL DEFAULT 0,
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at  timestamptz,
    -- The last push that Redis still knew of when the epoch was closed.
    remembered bigint,

    CONSTRAINT relay_epoch_closed CHECK (remembered IS NULL OR closed_at IS NOT NULL)
) WITH (fillfactor = 50);

COMMENT ON TABLE celeriac.relay_epoch IS 'One row for each life of a relay, compared with what Redis remembers of it.';

-- A UUID of version 7 (RFC 9562): sorts by time, down to fractions of a millisecond.
CREATE FUNCTION celeriac.uuid7() RETURNS text LANGUAGE sql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(
        overlay(
            uuid_send(gen_random_uuid())
            PLACING int8send(
                ((micros / 1000) << 16) | (7 << 12)::bigint | ((micros % 1000) * 4096 / 1000)
            )
            FROM 1 FOR 8
        ), 'hex'
    )::uuid::text
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) AS now
$$;

-- Refuse what no worker would take, naming field, value and limit.
CREATE FUNCTION celeriac.refuse_job(words text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = words;
END
$$;

CREATE FUNCTION celeriac.shown(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(left(value::text, 80), 'nothing')
$$;

-- Numbers as in celeriac.contract; a test compares them.
CREATE FUNCTION celeriac.check_id(id text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
BEGIN
    IF length(id) NOT BETWEEN 1 AND 200 THEN
        PERFORM celeriac.refuse_job(format('id must have 1 to 200 characters, got %s', length(id)));
    ELSIF id ~ '[[:cntrl:]]' THEN
        PERFORM celeriac.refuse_job(
            format('id must have printable characters only, got %s', to_json(id))
        );
    END IF;
END
$$;

CREATE FUNCTION celeriac.check_fields(task text, kwargs jsonb, VARIADIC known text[])
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    unknown text := (SELECT min(name) FROM jsonb_object_keys(kwargs) AS name WHERE name <> ALL (known));
BEGIN
    IF unknown IS NOT NULL THEN
        PERFORM celeriac.refuse_job(
            format('%s takes %s, got %s', task, array_to_string(known, ', '), to_json(unknown))
        );
    END IF;
END
$$;

CREATE FUNCTION celeriac.check_text(kwargs jsonb, field text, is_needed boolean)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    value jsonb := kwargs -> field;
BEGIN
    IF NOT is_needed AND coalesce(jsonb_typeof(value), 'null') = 'null' THEN
        RETURN;
    ELSIF jsonb_typeof(value) IS DISTINCT FROM 'string' OR value = '""' THEN
        PERFORM celeriac.refuse_job(
            format('%s must be text of 1 character or more, got %s', field, celeriac.shown(value))
        );
    END IF;
END
$$;

CREATE FUNCTION celeriac.check_object(kwargs jsonb, field text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
BEGIN
    IF coalesce(jsonb_typeof(kwargs -> field), 'null') NOT IN ('object', 'null') THEN
        PERFORM celeriac.refuse_job(
            format('%s must be an object, got %s', field, celeriac.shown(kwargs -> field))
        );
    END IF;
END
$$;

CREATE FUNCTION celeriac.check_rows(rows jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    odd record;
BEGIN
    IF jsonb_typeof(rows) IS DISTINCT FROM 'array' THEN
        PERFORM celeriac.refuse_job(format('rows must be objects, got %s', celeriac.shown(rows)));
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

CREATE FUNCTION celeriac.read_options(options jsonb) RETURNS jsonb LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    expires timestamptz;
BEGIN
    IF options IS NULL THEN
        RETURN NULL;
    ELSIF jsonb_typeof(options) <> 'object' THEN
        PERFORM celeriac.refuse_job(format('options must be an object, got %s', celeriac.shown(options)));
    END IF;
    PERFORM celeriac.check_fields('options', options, 'track', 'priority', 'expires');
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
    -- Raises what PostgreSQL says of a text that is no time.
    expires := options ->> 'expires';
    IF NOT isfinite(expires) THEN
        PERFORM celeriac.refuse_job(format('expires must be a time that comes, got %s', expires));
    END IF;
    -- Written as Celery reads it.
    RETURN options || jsonb_build_object('expires', expires);
END
$$;

CREATE FUNCTION celeriac.check_job(task text, kwargs jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
BEGIN
    IF coalesce(task, '') = '' THEN
        PERFORM celeriac.refuse_job('task must be text of 1 character or more, got nothing');
    ELSIF jsonb_typeof(kwargs) IS DISTINCT FROM 'object' THEN
        PERFORM celeriac.refuse_job(format('kwargs must be an object, got %s', celeriac.shown(kwargs)));
    END IF;
    CASE task
    WHEN 'celeriac.ingest' THEN
        PERFORM celeriac.check_fields(task, kwargs, 'target', 'rows');
        PERFORM celeriac.check_text(kwargs, 'target', true);
        PERFORM celeriac.check_rows(kwargs -> 'rows');
    WHEN 'celeriac.report' THEN
        PERFORM celeriac.check_fields(task, kwargs, 'name', 'params', 'format', 'fresh_for');
        PERFORM celeriac.check_text(kwargs, 'name', true);
        PERFORM celeriac.check_text(kwargs, 'format', false);
        PERFORM celeriac.check_object(kwargs, 'params');
    WHEN 'celeriac.ingest_file' THEN
        PERFORM celeriac.check_fields(task, kwargs, 'target', 'url', 'format', 'options');
        PERFORM celeriac.check_text(kwargs, 'target', true);
        PERFORM celeriac.check_text(kwargs, 'url', true);
        PERFORM celeriac.check_text(kwargs, 'format', false);
        PERFORM celeriac.check_object(kwargs, 'options');
    ELSE
        IF starts_with(task, 'celeriac.') THEN
            PERFORM celeriac.refuse_job(format(
                'task must be celeriac.ingest, celeriac.ingest_file, celeriac.report or one of your own, got %s',
                to_json(task)
            ));
        END IF;
    END CASE;
    -- Its text is at most a few times longer than what PostgreSQL holds: small ones need no look.
    IF pg_column_size(kwargs) > 1048576 AND octet_length(kwargs::text) > 8388608 - 128 THEN
        PERFORM celeriac.refuse_job(format(
            'body must be at most 8388608 bytes, got %s', octet_length(kwargs::text) + 128
        ));
    END IF;
END
$$;

-- A time that has passed means now: the relay looks for what is due from where it last was.
CREATE FUNCTION celeriac.due_time(run_at timestamptz) RETURNS timestamptz LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
BEGIN
    IF run_at = 'infinity' THEN
        PERFORM celeriac.refuse_job('run_at must be a time that comes, got infinity');
    END IF;
    RETURN greatest(run_at, clock_timestamp());
END
$$;

CREATE FUNCTION celeriac.enqueue(
    task text, kwargs jsonb, run_at timestamptz DEFAULT now(), id text DEFAULT NULL,
    options jsonb DEFAULT NULL
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
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

-- Under REPEATABLE READ an id that was committed after our snapshot is refused even to
-- DO NOTHING. The job is there: the refusal is undone, and the caller's transaction goes on.
CREATE FUNCTION celeriac.enqueue_unseen(
    task text, kwargs jsonb, due timestamptz, job_id text, options jsonb
) RETURNS text LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    PERFORM celeriac.check_id(job_id);
    INSERT INTO celeriac.outbox (id, task, kwargs, run_at, options)
    VALUES (job_id, task, kwargs, due, options)
    ON CONFLICT ON CONSTRAINT outbox_pkey DO NOTHING;
    RETURN job_id;
EXCEPTION WHEN serialization_failure THEN
    RETURN job_id;
END
$$;

CREATE FUNCTION celeriac.enqueue_many(
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
    FOREACH one IN ARRAY coalesce(kwargs, '{}') LOOP
        PERFORM celeriac.check_job(task, one);
    END LOOP;
    IF ids IS NOT NULL THEN
        -- One by one: another transaction may enqueue the same ids in another order.
        FOREACH given IN ARRAY ids LOOP
            PERFORM celeriac.check_id(given);
        END LOOP;
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
        RETURN;
    END IF;
    RETURN QUERY
        INSERT INTO celeriac.outbox AS entry (id, task, kwargs, run_at, options)
        SELECT celeriac.uuid7(), task, item.one, due, wishes
        FROM unnest(kwargs) AS item (one)
        RETURNING entry.id;
END
$$;

-- What is known here: where a job is in Redis, only Redis knows.
CREATE FUNCTION celeriac.state(id text) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    known text := (SELECT job.state FROM celeriac.job WHERE job.id = state.id);
BEGIN
    IF known IN ('working', 'committed', 'cancelled') THEN
        RETURN known;
    ELSIF EXISTS (SELECT FROM celeriac.outbox AS entry WHERE entry.id = state.id) THEN
        -- Also a job that was held or dead, and is on its way again.
        RETURN 'queued';
    END IF;
    RETURN coalesce(known, 'unknown');
END
$$;

-- The ledger first and the outbox after it, as workers do: so the two never wait in a circle.
-- An empty digest stands for any payload: what the worker would make of it, it alone knows.
CREATE FUNCTION celeriac.cancel(id text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO celeriac.job AS known (id, task, subject, state, digest, batch, worker, error, set_aside_at)
    SELECT
        entry.id, entry.task, coalesce(entry.kwargs ->> 'target', entry.kwargs ->> 'name', ''),
        'cancelled', '', pg_current_xact_id()::text::bigint, 'celeriac.cancel',
        'cancelled by ' || session_user, clock_timestamp()
    FROM celeriac.outbox AS entry WHERE entry.id = cancel.id
    -- One that was held or dead, and is on its way again.
    ON CONFLICT ON CONSTRAINT job_pkey DO UPDATE SET
        state = EXCLUDED.state, error = EXCLUDED.error, payload = NULL,
        set_aside_at = EXCLUDED.set_aside_at
    WHERE known.state IN ('held', 'dead');
    IF FOUND THEN
        DELETE FROM celeriac.outbox AS entry WHERE entry.id = cancel.id;
        RETURN 'cancelled';
    END IF;
    RETURN celeriac.state(cancel.id);
END
$$;

COMMENT ON FUNCTION celeriac.enqueue IS 'Enqueue a job in the transaction of the caller; returns its id.';
COMMENT ON FUNCTION celeriac.enqueue_many IS 'Enqueue jobs of one task in the transaction of the caller; returns their ids, in order.';
COMMENT ON FUNCTION celeriac.state IS 'The state of a job, as far as PostgreSQL knows it.';
COMMENT ON FUNCTION celeriac.cancel IS 'Keep a job that came by the outbox from running; returns its state after that.';

-- Roles belong to the cluster: another database, or somebody with more rights, may have made them.
DO $$
DECLARE
    missing text;
BEGIN
    FOREACH missing IN ARRAY ARRAY['celeriac_definer', 'celeriac_producer'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = missing);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', missing);
        EXCEPTION
            -- Another database of this cluster is being migrated just now.
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('role %s is missing, and %s may not create it', missing, current_user),
                HINT = format(
                    'have a superuser run: CREATE ROLE celeriac_definer NOLOGIN; '
                    'CREATE ROLE celeriac_producer NOLOGIN; GRANT celeriac_definer TO %I; '
                    'then migrate again', current_user
                );
        END;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA celeriac TO celeriac_definer, celeriac_producer;
GRANT SELECT, INSERT, DELETE ON celeriac.outbox TO celeriac_definer;
GRANT SELECT, INSERT, UPDATE ON celeriac.job TO celeriac_definer;

-- The functions belong to a role that nobody logs in as and that may do no more than they do.
DO $$
DECLARE
    ours regprocedure;
BEGIN
    GRANT CREATE ON SCHEMA celeriac TO celeriac_definer;
    IF NOT pg_has_role(current_user, 'celeriac_definer', 'USAGE') THEN
        BEGIN
            EXECUTE format('GRANT celeriac_definer TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;  -- What follows says what is missing.
        END;
    END IF;
    FOR ours IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'celeriac'::regnamespace AND proname <> 'refuse'
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', ours);
        IF (SELECT prosecdef FROM pg_proc WHERE oid = ours) THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO celeriac_producer', ours);
        END IF;
        EXECUTE format('ALTER FUNCTION %s OWNER TO celeriac_definer', ours);
    END LOOP;
    REVOKE CREATE ON SCHEMA celeriac FROM celeriac_definer;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
    MESSAGE = format('%s may not give functions to role celeriac_definer: %s', current_user, SQLERRM),
    HINT = format('have a superuser run: GRANT celeriac_definer TO %I; then migrate again', current_user);
END
$$;
