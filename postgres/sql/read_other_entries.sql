-- Jobs that wait in the outbox with another body than the one asked about. The text of one that
-- came by SQL is the relay's own, so it differs always.
SELECT entry.id, asked.body, coalesce(entry.body, '[[], ' || entry.kwargs::text || ', {}]')
FROM unnest(%(ids)s::text[], %(bodies)s::text[]) AS asked (id, body)
JOIN celeriac.outbox AS entry ON entry.id = asked.id
WHERE entry.body IS DISTINCT FROM asked.body
