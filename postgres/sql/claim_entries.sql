-- Claim what is due for one push, and count the push. MATERIALIZED: a plan that read the rows
-- again for the update could lock more of them than it marks.
--
-- From where the relay last was: below lie the dead versions of what it claimed before. Rows that
-- another relay claims just now are left to it. A closed epoch claims nothing.
WITH due AS MATERIALIZED (
    SELECT
        id, run_at, number,
        coalesce(octet_length(body), octet_length(kwargs::text)) AS size_bytes
    FROM celeriac.outbox
    WHERE epoch IS NULL AND run_at >= %(since)s AND run_at <= statement_timestamp()
    ORDER BY run_at, number
    LIMIT %(most_jobs)s
    FOR UPDATE SKIP LOCKED
), sized AS (
    SELECT id, sum(size_bytes) OVER (ORDER BY run_at, number) - size_bytes AS bytes_before FROM due
), counted AS (
    UPDATE celeriac.relay_epoch SET claimed = claimed + 1, seen_at = clock_timestamp()
    WHERE epoch = %(epoch)s AND closed_at IS NULL AND EXISTS (SELECT FROM due)
    RETURNING claimed
), marked AS (
    UPDATE celeriac.outbox AS entry
    SET epoch = %(epoch)s, push = (SELECT claimed FROM counted)
    -- An array, so that rows are found by their ids whatever the statistics say.
    WHERE entry.id = ANY (ARRAY(SELECT id FROM sized WHERE bytes_before < %(most_bytes)s))
        AND EXISTS (SELECT FROM counted)
    RETURNING
        entry.number, entry.run_at, entry.id, entry.task, entry.kwargs::text AS kwargs, entry.body,
        entry.options::text AS options, entry.push
)
SELECT
    statement_timestamp(), marked.push, marked.run_at,
    marked.id, marked.task, marked.kwargs, marked.body, marked.options
FROM (VALUES (1)) AS one LEFT JOIN marked ON true
ORDER BY marked.run_at, marked.number
