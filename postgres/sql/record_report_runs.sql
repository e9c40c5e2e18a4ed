INSERT INTO celeriac.report_run (
    job_id, report, params, format, url, rows, bytes, sha256, snapshot, lsn, sections, tick,
    started_at, began_at, finished_at
)
SELECT
    job_id, report, params, format, url, rows, bytes, sha256, snapshot, lsn, sections, tick,
    -- A report that was read within this transaction began after it did.
    started_at, coalesce(began_at, transaction_timestamp()), clock_timestamp()
FROM unnest(
    %(job_id)s::text[], %(report)s::text[], %(params)s::jsonb[], %(format)s::text[],
    %(url)s::text[], %(rows)s::bigint[], %(bytes)s::bigint[], %(sha256)s::text[],
    %(snapshot)s::text[], %(lsn)s::pg_lsn[], %(sections)s::jsonb[], %(tick)s::timestamptz[],
    %(started_at)s::timestamptz[], %(began_at)s::timestamptz[]
) AS run (
    job_id, report, params, format, url, rows, bytes, sha256, snapshot, lsn, sections, tick,
    started_at, began_at
)
RETURNING
    job_id,
    extract(epoch FROM finished_at - started_at)::float8,
    (SELECT id::text FROM celeriac.ledger_identity)
