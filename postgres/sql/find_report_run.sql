SELECT url, rows, bytes, sha256, snapshot, started_at
FROM celeriac.report_run
WHERE report = %(report)s
  AND params = %(params)s::jsonb
  AND format = %(format)s
  AND extract(epoch FROM clock_timestamp() - started_at) <= %(fresh_for_seconds)s
ORDER BY started_at DESC
LIMIT 1
