-- What was set aside and waits for somebody, by target or report and by reason: the largest groups
-- of each kind, and what is left of it as one. What differs from job to job in otherwise equal
-- reasons are quoted values, and numbers, also hexadecimal ones.
WITH grouped AS (
    SELECT 'quarantined' AS what, target AS subject, sqlstate AS reason, count(*)::bigint AS counted
    FROM celeriac.quarantine
    WHERE state = 'quarantined'
    GROUP BY target, sqlstate
    UNION ALL
    SELECT
        state, subject,
        left(
            regexp_replace(
                error, '"[^"]*"|''[^'']*''|[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*', '?', 'g'
            ),
            %(most_characters)s
        ),
        count(*)::bigint
    FROM celeriac.job
    WHERE state IN ('dead', 'held')
    GROUP BY 1, 2, 3
), placed AS (
    SELECT
        *, row_number() OVER (PARTITION BY what ORDER BY counted DESC, subject, reason)
            > %(most_groups)s AS is_small
    FROM grouped
)
SELECT
    what,
    CASE WHEN is_small THEN 'others' ELSE subject END,
    CASE WHEN is_small THEN 'others' ELSE reason END,
    sum(counted)::bigint
FROM placed
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
