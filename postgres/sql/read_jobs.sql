-- An empty digest stands for any payload: the job was cancelled before anybody read it.
SELECT
    id, NULL::boolean, NULL::text, NULL::text,
    state, digest IN (decode(digest_in, 'hex'), ''),
    rows, inserted, updated, ignored, superseded, quarantined,
    result, error
FROM unnest(%(ids)s::text[], %(digests)s::text[]) AS asked (id_in, digest_in)
JOIN celeriac.job ON job.id = asked.id_in
