-- Those of the entries that still wait, and that nobody else can take until we commit.
SELECT id FROM celeriac.quarantine
WHERE id = ANY (%(ids)s::bigint[]) AND state = 'quarantined'
ORDER BY id
FOR UPDATE
