-- Take jobs out that wait with just this body.
DELETE FROM celeriac.outbox AS entry
USING unnest(%(ids)s::text[], %(bodies)s::text[]) AS asked (id, body)
WHERE entry.id = asked.id AND entry.body = asked.body
