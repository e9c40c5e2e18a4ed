SELECT
    job.id, job.state, job.error,
    coalesce(done.inserted, job.inserted),
    coalesce(done.updated, job.updated),
    coalesce(done.ignored, job.ignored),
    coalesce(done.superseded, job.superseded),
    coalesce(done.quarantined, job.quarantined),
    coalesce(done.done_bytes, 0), done.total_bytes
FROM celeriac.job
LEFT JOIN celeriac.job_progress AS done ON done.job_id = job.id
WHERE job.id = ANY (%(ids)s::text[])
