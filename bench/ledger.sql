-- Rows of earlier jobs, as the worker would have left them; ids as stock Celery makes them.
INSERT INTO celeriac.job
    (id, task, subject, state, rows, inserted, digest, batch, worker, committed_at)
SELECT
    CASE WHEN %(kind)s = 'uuid7' THEN uuidv7() ELSE gen_random_uuid() END::text,
    'celeriac.ingest', 'bench', 'committed', 1, 1,
    decode(md5(number::text), 'hex'), number / 500, 'earlier', now()
FROM generate_series(1, %(rows)s) AS number
