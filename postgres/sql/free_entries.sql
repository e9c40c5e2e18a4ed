-- Make jobs due again whose push Redis does not know of; leaves those alone that a worker's
-- transaction is taking out just now.
WITH forgotten AS MATERIALIZED (
    SELECT id FROM celeriac.outbox
    WHERE epoch = %(epoch)s AND push > %(remembered)s
    LIMIT %(most_jobs)s
    FOR UPDATE SKIP LOCKED
)
UPDATE celeriac.outbox SET epoch = NULL, push = NULL
WHERE id = ANY (ARRAY(SELECT id FROM forgotten))
