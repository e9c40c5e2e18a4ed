-- Part of a merge: each row that was not simply inserted.
SELECT
    celeriac_number,
    CASE
        WHEN celeriac_rank = 1 AND celeriac_is_new IS NOT NULL THEN 'updated'
        WHEN celeriac_number < celeriac_winner AND celeriac_is_new IS NOT NULL THEN 'superseded'
        ELSE 'ignored'
    END
FROM ranked LEFT JOIN written USING ({key})
WHERE celeriac_rank > 1 OR (celeriac_is_new IS NOT TRUE AND NOT ({key_has_null}))
