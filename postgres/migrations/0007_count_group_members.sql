-- Groups of jobs with one continuation: how many of a group's jobs committed, written by the
-- transactions that commit them; the option by which jobs of the outbox belong to a group.
--
-- A worker of the previous version runs on this schema: it knows nothing of groups, and commits
-- their jobs without counting them.

CREATE TABLE celeriac.job_group (
    id           text COLLATE "C" PRIMARY KEY,
    size         integer NOT NULL,
    -- Jobs that committed; the row's lock puts their transactions in a line.
    done         integer NOT NULL,
    task         text NOT NULL,
    continuation text COLLATE "C" NOT NULL,
    -- Of size and continuation: every job of a group has to say the same.
    digest       bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at      timestamptz,

    CONSTRAINT job_group_counts CHECK (done BETWEEN 1 AND size),
    CONSTRAINT job_group_done CHECK ((done_at IS NOT NULL) = (done = size))
) WITH (fillfactor = 50);

COMMENT ON TABLE celeriac.job_group IS 'Groups of which a job has committed; the commit of the last enqueues the continuation.';
COMMENT ON COLUMN celeriac.job_group.task IS 'Task of the continuation; its id is in the next column.';

-- What is open, for whoever looks; what is done, for the purge.
CREATE INDEX job_group_done_at ON celeriac.job_group (done_at);

-- Numbers as in celeriac.contract; a test compares them.
CREATE FUNCTION celeriac.check_group(member jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, celeriac, pg_temp AS $$
DECLARE
    following jsonb := member -> 'then';
    given text;
BEGIN
    IF jsonb_typeof(member) <> 'object' OR jsonb_typeof(following) IS DISTINCT FROM 'object' THEN
        PERFORM celeriac.refuse_job(
            format('group must be an object with id, size and then, got %s', celeriac.shown(member))
        );
    END IF;
    PERFORM celeriac.check_fields('group', member, 'id', 'size', 'then');
    PERFORM celeriac.check_fields('then', following, 'task', 'kwargs', 'id');
    PERFORM celeriac.check_text(member, 'id', true);
    PERFORM celeriac.check_text(following, 'task', true);
    PERFORM celeriac.check_text(following, 'id', false);
    FOREACH given IN ARRAY ARRAY[member ->> 'id' || ':then', coalesce(following ->> 'id', 'none')] LOOP
        PERFORM celeriac.check_id(given);
    END LOOP;
    IF jsonb_typeof(member -> 'size') IS DISTINCT FROM 'number'
        OR (member ->> 'size')::numeric NOT BETWEEN 1 AND 100000
        OR (member ->> 'size')::numeric % 1 <> 0
    THEN
        PERFORM celeriac.refuse_job(
            format('size must be 1 to 100000, got %s', celeriac.shown(member -> 'size'))
        );
    END IF;
    PERFORM celeriac.check_job(following ->> 'task', following -> 'kwargs');
    IF octet_length((following -> 'kwargs')::text) > 8192 THEN
        PERFORM celeriac.refuse_job(format(
            'then must have at most 8192 bytes of kwargs, got %s; every job of the group carries them',
            octet_length((following -> 'kwargs')::text)
        ));
    END IF;
END
$$;

REVOKE ALL ON FUNCTION celeriac.check_group FROM PUBLIC;
GRANT EXECUTE ON FUNCTION celeriac.check_group TO celeriac_definer;

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
    -- Raises what PostgreSQL says of a text that is no time.
    expires := options ->> 'expires';
    IF NOT isfinite(expires) THEN
        PERFORM celeriac.refuse_job(format('expires must be a time that comes, got %s', expires));
    END IF;
    -- Written as Celery reads it.
    RETURN options || jsonb_build_object('expires', expires);
END
$$;
