SELECT job_id, url, rows
FROM celeriac.report_run
WHERE starts_with(job_id, %(id_prefix)s)
ORDER BY started_at, job_id
