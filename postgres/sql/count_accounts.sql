-- Part of a merge: how many rows were inserted, updated, superseded; the others are ignored.
SELECT
    count(*) FILTER (WHERE celeriac_rank = 1 AND (celeriac_is_new OR {key_has_null})),
    count(*) FILTER (WHERE celeriac_rank = 1 AND NOT celeriac_is_new),
    count(*) FILTER (WHERE celeriac_number < celeriac_winner AND celeriac_is_new IS NOT NULL)
FROM ranked LEFT JOIN written USING ({key})
