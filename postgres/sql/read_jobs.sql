SELECT
    id, NULL::boolean, NULL::text,
    state, encode(digest, 'hex') = digest_in,
    rows, inserted, updated, ignored, superseded, quarantined,
    result, error
FROM unnest(%(ids)s::text[], %(digests)s::text[]) AS asked (id_in, digest_in)
JOIN celeriac.job ON job.id = asked.id_in
