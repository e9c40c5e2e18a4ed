-- Write jobs as committed that nobody knows yet; an id that is known raises 23505.
-- Nothing is claimed while any of their targets is held. Ids go in their order, like claim_jobs.
INSERT INTO celeriac.job
    (id, task, subject, state, rows, inserted, digest, attempts, batch, worker, committed_at)
SELECT
    id, %(task)s, subject, 'committed', rows, rows, decode(digest, 'hex'), 1,
    -- Subqueries, so that each is asked once and not for every row.
    (SELECT pg_current_xact_id()::text::bigint), %(worker)s, (SELECT clock_timestamp())
FROM (
    SELECT
        unnest(%(ids)s::text[]) AS id,
        unnest(%(subjects)s::text[]) AS subject,
        unnest(%(rows)s::integer[]) AS rows,
        unnest(%(digests)s::text[]) AS digest
) AS asked
WHERE NOT EXISTS (
    SELECT FROM celeriac.target_hold WHERE target = ANY (%(distinct_subjects)s::text[])
)
ORDER BY id COLLATE "C"
RETURNING 1
