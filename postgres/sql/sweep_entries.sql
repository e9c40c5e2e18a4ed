-- Take jobs out that were pushed and whose end the ledger has known since long ago, in some pages
-- of the table. Only workers that know nothing of the outbox leave such a row, and only a loss of
-- Redis would bring its message again. One that is on its way still settles from the ledger.
WITH left_behind AS MATERIALIZED (
    SELECT entry.id
    FROM celeriac.outbox AS entry
    JOIN celeriac.job ON job.id = entry.id
    WHERE entry.ctid >= %(first)s::tid
      AND entry.ctid < %(beyond)s::tid
      AND entry.epoch IS NOT NULL
      AND job.state IN ('committed', 'dead', 'cancelled')
      AND entry.created_at < now() - interval '1 hour'
      AND coalesce(job.committed_at, job.set_aside_at) < now() - interval '1 hour'
    FOR UPDATE OF entry SKIP LOCKED
)
DELETE FROM celeriac.outbox WHERE id = ANY (ARRAY(SELECT id FROM left_behind))
