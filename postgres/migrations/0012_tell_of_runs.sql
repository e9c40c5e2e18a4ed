-- What ran, whole: one row a run. A job that another run answered has no row here; its result in
-- the ledger names the file. Files are removed by age and count, and it is said here before that
-- they will be, and afterwards that they are.
ALTER TABLE celeriac.report_run
    -- Of the server that was read, when the snapshot was taken: what the snapshot shows was
    -- written up to here.
    ADD COLUMN lsn pg_lsn,
    -- Before the snapshot was taken, by this server's clock: started_at may be by another's, which
    -- is ahead. Null for what ran before: it answers nobody any more.
    ADD COLUMN began_at timestamptz,
    -- A JSON array: the name and number of rows of each section.
    ADD COLUMN sections jsonb NOT NULL DEFAULT '[]',
    -- Of the schedule that asked, if one did.
    ADD COLUMN tick timestamptz,
    -- From then on the file may be gone at any moment: it is no answer any more.
    ADD COLUMN expired_at timestamptz,
    -- From then on it is gone.
    ADD COLUMN removed_at timestamptz,
    ADD CONSTRAINT report_run_removed CHECK (removed_at IS NULL OR expired_at IS NOT NULL);

COMMENT ON COLUMN celeriac.report_run.lsn IS 'Position in the log of the server that was read, when the snapshot was taken.';
COMMENT ON COLUMN celeriac.report_run.began_at IS 'Before the snapshot was taken, by the clock of the ledger: how old an answer is counts from here.';
COMMENT ON COLUMN celeriac.report_run.sections IS 'Name and rows of each section of the answer.';
COMMENT ON COLUMN celeriac.report_run.tick IS 'The tick of the schedule that asked; null if a person or program did.';
COMMENT ON COLUMN celeriac.report_run.expired_at IS 'Since when the file is given up: by age or count. Null while it counts.';
COMMENT ON COLUMN celeriac.report_run.removed_at IS 'Since when the file is known to be gone.';

-- Of a report, the newest runs: is one fresh enough, which are beyond the number to keep.
CREATE INDEX report_run_newest ON celeriac.report_run (report, began_at DESC)
    WHERE expired_at IS NULL;
CREATE INDEX report_run_expired ON celeriac.report_run (expired_at) WHERE expired_at IS NOT NULL;

-- Answered by the file of another run: their results in the ledger say the same. They would count
-- a file that is removed with the run that made it.
DELETE FROM celeriac.report_run AS answered USING celeriac.report_run AS ran
WHERE answered.url = ran.url
  AND (answered.finished_at, answered.job_id) > (ran.finished_at, ran.job_id);

-- Which ledger this is: manifests say it, so that nobody takes the files of another one, which
-- writes into the same store, for files that nobody counts.
CREATE TABLE celeriac.ledger_identity (id uuid NOT NULL DEFAULT gen_random_uuid());
CREATE UNIQUE INDEX ledger_identity_is_one ON celeriac.ledger_identity ((true));
INSERT INTO celeriac.ledger_identity DEFAULT VALUES;

COMMENT ON TABLE celeriac.ledger_identity IS 'One row: the identity of this ledger, as the manifests of its artifacts have it.';
