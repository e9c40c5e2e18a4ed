-- What jobs did before they ended in another way stays done, and is counted.
UPDATE celeriac.job SET
    rows = done.inserted + done.updated + done.ignored + done.superseded + done.quarantined,
    inserted = done.inserted,
    updated = done.updated,
    ignored = done.ignored,
    superseded = done.superseded,
    quarantined = done.quarantined
FROM celeriac.job_progress AS done
WHERE job.id = ANY (%(ids)s::text[]) AND done.job_id = job.id
