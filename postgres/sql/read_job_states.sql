SELECT id, state FROM celeriac.job WHERE id = ANY (%(ids)s::text[])
