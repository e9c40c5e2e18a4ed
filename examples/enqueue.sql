-- Enqueue jobs from SQL alone, in one's own transaction. Beside a running `make run`:
--
--     . var/env && psql "$CELERIAC_DATABASE_URL" -v ON_ERROR_STOP=1 -f examples/enqueue.sql
--
-- Any driver of any language can do the same. The ids are the same at every run, so that a
-- second run changes nothing.

CREATE TABLE IF NOT EXISTS public.booking (
    number integer PRIMARY KEY,
    flight integer NOT NULL
);

-- A row of ours and a job: both, or neither.
BEGIN;
INSERT INTO public.booking VALUES (1017, 17) ON CONFLICT DO NOTHING;
SELECT celeriac.enqueue(
    'celeriac.ingest',
    '{"target": "departures", "rows": [{
        "time_hour": "2014-02-01T06:30:00Z", "carrier": "CE", "flight": 17,
        "origin": "JFK", "dest": "TXL", "dep_delay": 4
    }]}',
    id => 'booking-1017'
);
COMMIT;

-- What is rolled back never was a job.
BEGIN;
SELECT celeriac.enqueue(
    'celeriac.report', '{"name": "carrier_delays"}', id => 'booking-undone'
);
ROLLBACK;

-- One job for each row of a query, in one call.
SELECT celeriac.enqueue_many(
    'celeriac.ingest',
    array_agg(
        jsonb_build_object(
            'target', 'departures',
            'rows', jsonb_build_array(jsonb_build_object(
                'time_hour', day, 'carrier', 'CE', 'flight', 18,
                'origin', 'TXL', 'dest', 'JFK', 'dep_delay', 0
            ))
        ) ORDER BY day
    ),
    ids => array_agg('departure-18-' || to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD') ORDER BY day)
)
FROM generate_series(
    timestamptz '2014-02-01 06:30+00', timestamptz '2014-02-10 06:30+00', interval '1 day'
) AS day;

-- Not before tomorrow; nobody asks for its result. Then we think better of it.
SELECT celeriac.enqueue(
    'celeriac.report',
    '{"name": "carrier_delays", "params": {"origin": "JFK"}}',
    now() + interval '1 day',
    'booking-report',
    '{"track": false, "priority": 3}'
);
SELECT celeriac.cancel('booking-report');

-- What PostgreSQL knows of them. `queued` turns into `committed` as soon as a worker had it.
SELECT id, celeriac.state(id)
FROM unnest(ARRAY['booking-1017', 'booking-undone', 'booking-report']) AS id;
