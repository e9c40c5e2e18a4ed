-- Where jobs of many transactions are: one row a job, moved in the transaction of each step.
CREATE TABLE celeriac.job_progress (
    job_id       text COLLATE "C" PRIMARY KEY REFERENCES celeriac.job (id) ON DELETE CASCADE,
    run          text NOT NULL,
    step         bigint NOT NULL DEFAULT 0 CHECK (step >= 0),
    position     jsonb,
    inserted     bigint NOT NULL DEFAULT 0,
    updated      bigint NOT NULL DEFAULT 0,
    ignored      bigint NOT NULL DEFAULT 0,
    superseded   bigint NOT NULL DEFAULT 0,
    quarantined  bigint NOT NULL DEFAULT 0,
    done_bytes   bigint NOT NULL DEFAULT 0,
    total_bytes  bigint,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    moved_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE celeriac.job_progress IS 'How far jobs of many transactions have come; kept when they end.';
COMMENT ON COLUMN celeriac.job_progress.run IS 'Who may take the next step: each run of the job writes a name of its own.';
COMMENT ON COLUMN celeriac.job_progress.step IS 'How many steps are committed: the fence that lets each be taken once.';
COMMENT ON COLUMN celeriac.job_progress.position IS 'Where the next step begins, in the words of the job''s kind.';
