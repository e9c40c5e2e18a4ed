-- The ledger (one row a job, the truth), the quarantine, held targets, report runs.

CREATE TABLE celeriac.job (
    id           text COLLATE "C" PRIMARY KEY,
    task         text NOT NULL,
    subject      text NOT NULL,
    state        text NOT NULL,
    rows         integer NOT NULL DEFAULT 0,
    inserted     integer NOT NULL DEFAULT 0,
    updated      integer NOT NULL DEFAULT 0,
    ignored      integer NOT NULL DEFAULT 0,
    superseded   integer NOT NULL DEFAULT 0,
    quarantined  integer NOT NULL DEFAULT 0,
    attempts     smallint NOT NULL DEFAULT 1,
    batch        bigint NOT NULL,
    digest       bytea NOT NULL,
    enqueued_at  timestamptz,
    committed_at timestamptz,
    worker       text NOT NULL,
    result       jsonb,
    error        text,
    payload      text,

    -- celeriac.contract.LEDGER_STATES; a test compares them.
    CONSTRAINT job_state CHECK (state IN ('working', 'committed', 'dead', 'held', 'cancelled')),
    -- Every row of a committed job is accounted for exactly once.
    CONSTRAINT job_accounts CHECK (
        state <> 'committed'
        OR inserted + updated + ignored + superseded + quarantined = rows
    ),
    CONSTRAINT job_payload CHECK (payload IS NULL OR state IN ('held', 'dead')),
    CONSTRAINT job_reason CHECK ((error IS NULL) = (state IN ('working', 'committed')))
);

COMMENT ON TABLE celeriac.job IS 'The ledger: one row a job, written in the transaction of its effect.';
COMMENT ON COLUMN celeriac.job.batch IS 'Number of the transaction that wrote the row (pg_current_xact_id).';
COMMENT ON COLUMN celeriac.job.digest IS 'BLAKE2b-128 of the payload: tells a redelivery from another job of that id.';
COMMENT ON COLUMN celeriac.job.payload IS 'The message, kept while the job is held or dead.';

CREATE INDEX job_waiting ON celeriac.job (state, subject) WHERE state IN ('held', 'dead', 'working');

CREATE TABLE celeriac.quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id      text COLLATE "C" NOT NULL REFERENCES celeriac.job (id),
    row_number  integer NOT NULL CHECK (row_number >= 1),
    target      text NOT NULL,
    -- json, not jsonb: the row as it came, also when it holds \u0000 or too large a number.
    row         json NOT NULL,
    column_name text,
    sqlstate    text NOT NULL,
    message     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    state       text NOT NULL DEFAULT 'quarantined',

    CONSTRAINT quarantine_state CHECK (state IN ('quarantined', 'replaying', 'replayed', 'discarded')),
    CONSTRAINT quarantine_once UNIQUE (job_id, row_number, target)
);

CREATE TABLE celeriac.target_hold (
    target     text PRIMARY KEY,
    reason     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE celeriac.report_run (
    job_id      text COLLATE "C" PRIMARY KEY REFERENCES celeriac.job (id),
    report      text NOT NULL,
    params      jsonb NOT NULL,
    format      text NOT NULL,
    url         text NOT NULL,
    rows        bigint NOT NULL CHECK (rows >= 0),
    bytes       bigint NOT NULL CHECK (bytes >= 0),
    sha256      text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    snapshot    text NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL
);
