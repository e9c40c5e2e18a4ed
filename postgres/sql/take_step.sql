-- The fence: a step counts once, for the run that may take it, while the job is under way.
WITH job AS MATERIALIZED (
    -- Whoever ends the job waits for this step, or this step finds it ended.
    SELECT id, task, subject FROM celeriac.job WHERE id = %(job_id)s AND state = 'working' FOR SHARE
), moved AS (
    UPDATE celeriac.job_progress AS progress SET
        step = progress.step + 1,
        position = %(position)s,
        inserted = progress.inserted + %(inserted)s,
        updated = progress.updated + %(updated)s,
        ignored = progress.ignored + %(ignored)s,
        superseded = progress.superseded + %(superseded)s,
        quarantined = progress.quarantined + %(quarantined)s,
        done_bytes = %(done_bytes)s,
        total_bytes = %(total_bytes)s,
        moved_at = clock_timestamp()
    FROM job
    WHERE progress.job_id = job.id AND progress.run = %(run)s AND progress.step = %(step)s
    RETURNING job.task, job.subject
)
SELECT target_hold.reason
FROM moved
-- A report has no target, only a name that may be like one's.
LEFT JOIN celeriac.target_hold
    ON target_hold.target = moved.subject AND moved.task <> 'celeriac.report'
