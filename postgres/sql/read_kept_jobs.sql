-- The latest first.
SELECT id, task, subject, state, rows, attempts, set_aside_at, error
FROM ({selected}) AS selected
ORDER BY set_aside_at DESC NULLS LAST, id
LIMIT %(limit)s
