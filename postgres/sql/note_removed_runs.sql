UPDATE celeriac.report_run SET removed_at = clock_timestamp()
WHERE job_id = ANY (%(job_ids)s::text[]) AND removed_at IS NULL
