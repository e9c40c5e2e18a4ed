SELECT id, task, payload FROM celeriac.job
WHERE state = 'held' AND %(target)s = ANY (subject || string_to_array(subject, ',')) AND id > %(after)s COLLATE "C"
ORDER BY id LIMIT %(limit)s
