SELECT job_id, report, url, rows, sha256, snapshot
FROM celeriac.report_run
WHERE starts_with(job_id, %(id_prefix)s)
ORDER BY started_at, job_id
