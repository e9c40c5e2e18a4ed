SELECT job_id, report, url, bytes, sha256
FROM celeriac.report_run
WHERE expired_at IS NULL
  AND (%(report)s::text IS NULL OR report = %(report)s)
  AND (%(since)s::timestamptz IS NULL OR finished_at >= %(since)s)
  AND job_id > %(after)s
ORDER BY job_id
LIMIT %(limit)s
