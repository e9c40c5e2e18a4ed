-- Forget runs whose files were removed long ago; their jobs may then be forgotten too.
DELETE FROM celeriac.report_run
WHERE job_id = ANY (ARRAY(
    SELECT job_id FROM celeriac.report_run
    WHERE expired_at IS NOT NULL AND removed_at < now() - %(keep)s::interval
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
))
