SELECT id, task, payload FROM celeriac.job
WHERE state = 'held' AND subject = %(target)s AND id > %(after)s COLLATE "C"
ORDER BY id LIMIT %(limit)s
