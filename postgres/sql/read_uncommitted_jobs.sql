SELECT id, state, error
FROM celeriac.job
WHERE task = %(task)s
  AND starts_with(id, %(id_prefix)s)
  AND state <> 'committed'
ORDER BY id
LIMIT %(limit)s
