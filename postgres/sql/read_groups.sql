SELECT id, size, done, encode(digest, 'hex') FROM celeriac.job_group WHERE id = ANY (%(ids)s)
