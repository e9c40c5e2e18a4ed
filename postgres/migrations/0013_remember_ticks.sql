-- Schedules of reports: up to when their ticks are decided, and which ticks became jobs.
--
-- A worker of the previous version runs on this schema: it knows nothing of these tables.

CREATE TABLE celeriac.schedule (
    report        text COLLATE "C" NOT NULL,
    cron          text NOT NULL,
    timezone      text NOT NULL,
    -- Every tick up to here was enqueued or given up; what a clock that is set back shows again
    -- is behind it.
    decided_until timestamptz NOT NULL,
    -- What schedule_watch said when a scheduler that knows this schedule was last there.
    watched       interval NOT NULL,

    -- Another expression is another schedule, from when it is first seen: schedulers with the
    -- catalog of before and with that of today run side by side during a deployment.
    PRIMARY KEY (report, cron, timezone)
) WITH (fillfactor = 50);

COMMENT ON TABLE celeriac.schedule IS 'Up to when the ticks of each schedule are decided; one without a row begins now.';

-- Tells an outage, in which nobody was there, from a time in which a schedule was in no catalog.
CREATE TABLE celeriac.schedule_watch (
    is_only boolean PRIMARY KEY DEFAULT true,
    -- For how long there was a scheduler in all, whatever its catalog: stands still in an outage.
    watched interval NOT NULL,
    at      timestamptz NOT NULL,

    CONSTRAINT schedule_watch_only CHECK (is_only)
) WITH (fillfactor = 50);

COMMENT ON TABLE celeriac.schedule_watch IS 'One row: for how long there was any scheduler, added up once a minute.';

CREATE TABLE celeriac.tick (
    report      text COLLATE "C" NOT NULL,
    tick        timestamptz NOT NULL,
    -- Its row of the outbox was inserted in the same transaction.
    job         text COLLATE "C" NOT NULL,
    enqueued_at timestamptz NOT NULL DEFAULT clock_timestamp(),

    PRIMARY KEY (report, tick)
);

COMMENT ON TABLE celeriac.tick IS 'The ticks that became jobs, each once; purged after the dedupe horizon, but for the newest of a report.';
