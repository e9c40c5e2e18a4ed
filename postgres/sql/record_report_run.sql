INSERT INTO celeriac.report_run (
    job_id, report, params, format, url, rows, bytes, sha256, snapshot, started_at, finished_at
)
VALUES (
    %(job_id)s, %(report)s, %(params)s::jsonb, %(format)s, %(url)s, %(rows)s, %(bytes)s,
    %(sha256)s, %(snapshot)s, %(started_at)s, clock_timestamp()
)
