-- One page of entries, in the order of their ids: at most so many, and no more after so many
-- bytes of rows. Rows are left out where only the reasons are asked for.
SELECT
    entry.id, entry.job_id, entry.row_number, entry.target,
    CASE WHEN %(with_rows)s THEN entry.row::text END,
    entry.column_name, entry.sqlstate, entry.message, entry.created_at, entry.state,
    entry.replay_job, entry.replay_of, entry.closed_at, coalesce(entry.redacted, '{{}}'),
    (SELECT min(later.id) FROM celeriac.quarantine AS later WHERE later.replay_of = entry.id)
FROM (
    SELECT
        *,
        sum(octet_length(page.row::text)) OVER (ORDER BY page.id)
            - octet_length(page.row::text) AS bytes_before
    FROM (
        SELECT * FROM ({selected}) AS selected
        WHERE selected.id > %(after)s AND selected.id <= %(last)s
        ORDER BY selected.id
        LIMIT %(limit)s
    ) AS page
) AS entry
WHERE entry.bytes_before <= %(bytes)s
ORDER BY entry.id
