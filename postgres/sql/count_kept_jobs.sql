SELECT task, subject, state, (array_agg(error ORDER BY id))[1], count(*), min(set_aside_at), max(set_aside_at)
FROM (
    -- What differs from job to job in otherwise equal reasons are numbers and quoted values.
    SELECT *, regexp_replace(error, '[0-9]+|"[^"]*"|''[^'']*''', '?', 'g') AS reason
    FROM ({selected}) AS selected
) AS alike
GROUP BY task, subject, state, reason
ORDER BY count(*) DESC, task, subject, state, reason
