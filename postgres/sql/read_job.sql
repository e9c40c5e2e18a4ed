-- Everything that PostgreSQL knows of one job.
SELECT
    job.id, job.task, job.subject, job.state, job.rows,
    job.inserted, job.updated, job.ignored, job.superseded, job.quarantined,
    job.attempts, job.batch, encode(job.digest, 'hex'), job.worker,
    job.enqueued_at, job.committed_at, job.set_aside_at,
    job.result::text, job.error, job.payload,
    (SELECT outbox.created_at FROM celeriac.outbox WHERE outbox.id = job.id),
    (SELECT count(*) FROM celeriac.quarantine WHERE quarantine.replay_job = job.id)
FROM celeriac.job
WHERE job.id = %(id)s
