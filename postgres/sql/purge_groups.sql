-- Forget groups that were done long ago; an open one stays, however old it is.
DELETE FROM celeriac.job_group
WHERE id = ANY (ARRAY(
    SELECT id FROM celeriac.job_group
    WHERE done_at < now() - %(keep)s::interval
    ORDER BY done_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
