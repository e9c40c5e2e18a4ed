-- Forget ended jobs in some pages of the table. No job that anything else still speaks of, and
-- none that somebody works with just now: a worker that waits for us must not wait in a circle.
WITH due AS MATERIALIZED (
    SELECT job.id
    FROM celeriac.job
    WHERE job.ctid >= %(first)s::tid
      AND job.ctid < %(beyond)s::tid
      AND (
        job.state = 'committed' AND job.committed_at < now() - %(keep)s::interval
        OR job.state = 'cancelled' AND job.set_aside_at < now() - %(keep)s::interval
      )
      AND NOT EXISTS (SELECT FROM celeriac.outbox WHERE outbox.id = job.id)
      AND NOT EXISTS (SELECT FROM celeriac.quarantine WHERE quarantine.job_id = job.id)
      AND NOT EXISTS (SELECT FROM celeriac.report_run WHERE report_run.job_id = job.id)
    FOR UPDATE OF job SKIP LOCKED
), dated AS (
    -- Cancelled by SQL before anybody wrote down when: its time begins now.
    UPDATE celeriac.job SET set_aside_at = now()
    WHERE job.ctid >= %(first)s::tid
      AND job.ctid < %(beyond)s::tid
      AND job.state = 'cancelled' AND job.set_aside_at IS NULL
)
DELETE FROM celeriac.job USING due WHERE job.id = due.id
