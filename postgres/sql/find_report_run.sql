SELECT
    job_id,
    extract(epoch FROM clock_timestamp() - began_at)::float8 AS age_seconds,
    url, rows, bytes, sha256, snapshot, started_at, lsn::text, sections, tick
FROM celeriac.report_run
WHERE report = %(report)s
  AND params = %(params)s::jsonb
  AND format = %(format)s
  AND began_at >= clock_timestamp() - make_interval(secs => %(fresh_for_seconds)s)
  -- This server's clock may have been set back since.
  AND began_at <= clock_timestamp()
  AND expired_at IS NULL
ORDER BY began_at DESC
LIMIT 1
