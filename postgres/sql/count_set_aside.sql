-- What was set aside and waits for somebody, by target or report and by reason. What differs from
-- job to job in otherwise equal reasons are numbers and quoted values.
SELECT 'quarantined' AS what, target AS subject, sqlstate AS reason, count(*)::bigint AS counted
FROM celeriac.quarantine
WHERE state = 'quarantined'
GROUP BY target, sqlstate
UNION ALL
SELECT
    state, subject,
    left(regexp_replace(error, '[0-9]+|"[^"]*"|''[^'']*''', '?', 'g'), %(most_characters)s),
    count(*)::bigint
FROM celeriac.job
WHERE state IN ('dead', 'held')
GROUP BY 1, 2, 3
ORDER BY counted DESC
LIMIT %(most_groups)s
