SELECT job_id, report, url
FROM celeriac.report_run
WHERE expired_at IS NOT NULL AND removed_at IS NULL AND job_id > %(after)s
ORDER BY job_id
LIMIT %(limit)s
