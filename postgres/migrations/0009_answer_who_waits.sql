-- Cancelling tells who waits: a job whose result somebody may wait for goes through its queue all
-- the same, now, and a worker settles it as cancelled. The outbox knows no other way to Redis.
--
-- A worker of the previous version runs on this schema: it settles such a message alike.

GRANT UPDATE (run_at) ON celeriac.outbox TO celeriac_definer;

CREATE OR REPLACE FUNCTION celeriac.cancel(id text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, celeriac, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    -- The ledger first and the outbox after it, as workers do: so the two never wait in a circle.
    -- An empty digest stands for any payload: what the worker would make of it, it alone knows.
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
        DELETE FROM celeriac.outbox AS entry WHERE entry.id = cancel.id AND (
            entry.options -> 'track' = 'false'
            OR entry.options #> '{headers,ignore_result}' = 'true'
        );
        -- One that was pushed comes to a worker anyway.
        UPDATE celeriac.outbox AS entry SET run_at = clock_timestamp()
        WHERE entry.id = cancel.id AND entry.epoch IS NULL AND entry.run_at > clock_timestamp();
        RETURN 'cancelled';
    END IF;
    RETURN celeriac.state(cancel.id);
END
$$;
