-- The first row of a key wins; later ones, here or in the table, are ignored.
-- Keys are compared as their types compare them; NULL keys are nobody's equal.
WITH numbered AS MATERIALIZED (
    SELECT * FROM ROWS FROM (jsonb_to_recordset({json_in}) AS ({definitions}))
        WITH ORDINALITY AS row_in ({columns}, celeriac_number)
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY {key}, CASE WHEN {key_has_null} THEN celeriac_number END
        ORDER BY celeriac_number
    ) AS celeriac_rank
    FROM numbered
), written AS (
    -- All of them: a row that is ignored has to be a good one, whatever came before it.
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM ranked ORDER BY {key}, celeriac_number
    ON CONFLICT ({key}) DO NOTHING
    RETURNING {key}, true AS celeriac_written
)
SELECT celeriac_number, 'ignored'
FROM ranked LEFT JOIN written USING ({key})
WHERE celeriac_rank > 1 OR (celeriac_written IS NULL AND NOT ({key_has_null}))
