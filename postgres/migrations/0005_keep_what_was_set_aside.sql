-- What was set aside is sent again, given up, and in the end forgotten.

-- An entry of the quarantine knows the job that replays it, and its row's place in that job.
-- Whether the replay succeeded is read from the ledger, in the transaction that commits it.
ALTER TABLE celeriac.quarantine
    ADD COLUMN replay_job text COLLATE "C",
    ADD COLUMN replay_row integer CHECK (replay_row >= 1),
    -- The entry whose replay was refused as this one; no reference, it may be purged before.
    ADD COLUMN replay_of bigint,
    ADD COLUMN closed_at timestamptz,
    -- Columns whose values were masked before the row was written down.
    ADD COLUMN redacted text[],
    DROP CONSTRAINT quarantine_state,
    -- postgres.quarantined.EntryState; a test compares them.
    ADD CONSTRAINT quarantine_state CHECK (
        state IN ('quarantined', 'replaying', 'replayed', 'superseded', 'discarded')
    ),
    ADD CONSTRAINT quarantine_replay CHECK (
        (replay_job IS NULL) = (replay_row IS NULL)
        AND (replay_job IS NOT NULL OR state NOT IN ('replaying', 'replayed', 'superseded'))
    );

COMMENT ON COLUMN celeriac.quarantine.replay_job IS 'The job that replays the row, or was the last to try.';
COMMENT ON COLUMN celeriac.quarantine.replay_of IS 'The entry that this one supersedes: its replay was refused.';

-- Each place of a replay job is one entry's.
CREATE UNIQUE INDEX quarantine_replaying ON celeriac.quarantine (replay_job, replay_row)
    WHERE state = 'replaying';
CREATE INDEX quarantine_replay_of ON celeriac.quarantine (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX quarantine_open ON celeriac.quarantine (created_at) WHERE state = 'quarantined';
CREATE INDEX quarantine_closed ON celeriac.quarantine (closed_at) WHERE closed_at IS NOT NULL;

-- When a job was buried, held or cancelled. A committed job has its committed_at.
ALTER TABLE celeriac.job ADD COLUMN set_aside_at timestamptz;

COMMENT ON COLUMN celeriac.job.set_aside_at IS 'When the job was buried, held or cancelled; null if it was not.';
