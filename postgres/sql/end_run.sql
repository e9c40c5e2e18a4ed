-- End a job of many steps, with the accounts of all of them; only for the run that may.
UPDATE celeriac.job SET
    state = %(state)s,
    rows = done.inserted + done.updated + done.ignored + done.superseded + done.quarantined,
    inserted = done.inserted,
    updated = done.updated,
    ignored = done.ignored,
    superseded = done.superseded,
    quarantined = done.quarantined,
    result = %(result)s,
    error = %(error)s,
    payload = %(payload)s,
    batch = pg_current_xact_id()::text::bigint,
    committed_at = CASE WHEN %(state)s = 'committed' THEN clock_timestamp() END,
    set_aside_at = CASE WHEN %(state)s <> 'committed' THEN clock_timestamp() END
FROM celeriac.job_progress AS done
WHERE job.id = %(job_id)s AND job.state = 'working'
  AND done.job_id = job.id AND done.run = %(run)s
