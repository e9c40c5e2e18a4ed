-- Ledger and rows of many new jobs in one statement, which is its own transaction.
WITH ledger AS (
    INSERT INTO celeriac.job
        (id, task, subject, state, rows, inserted, digest, batch, worker, committed_at)
    SELECT
        id, 'celeriac.ingest', 'bench', 'committed', 1, 1, decode(digest, 'hex'),
        (SELECT pg_current_xact_id()::text::bigint), 'bench:floor', (SELECT clock_timestamp())
    FROM (
        SELECT unnest(%(ids)s::text[]) AS id, unnest(%(digests)s::text[]) AS digest
    ) AS asked
    ORDER BY id COLLATE "C"
)
INSERT INTO public.bench_rows (id, name, amount, at, note)
SELECT id, name, amount, at, note
FROM json_to_recordset(%(rows)s::json)
    AS row_in (id bigint, name text, amount numeric, at timestamptz, note text)
