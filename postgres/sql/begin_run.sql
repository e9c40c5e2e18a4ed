-- From here on this run alone may take the job's steps; what is done already stays done.
INSERT INTO celeriac.job_progress AS progress (job_id, run) VALUES (%(job_id)s, %(run)s)
ON CONFLICT (job_id) DO UPDATE SET run = EXCLUDED.run, moved_at = clock_timestamp()
RETURNING
    step, position, inserted, updated, ignored, superseded, quarantined, done_bytes, total_bytes
