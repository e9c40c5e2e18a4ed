DELETE FROM celeriac.outbox WHERE id = ANY (%(ids)s::text[])
