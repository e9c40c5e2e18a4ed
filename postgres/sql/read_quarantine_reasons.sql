SELECT job_id, row_number, column_name, sqlstate, message
FROM celeriac.quarantine
WHERE starts_with(job_id, %(id_prefix)s)
ORDER BY id
LIMIT %(limit)s
