-- The last row of a key wins; earlier ones of the same batch are superseded.
-- Keys are compared as their types compare them; NULL keys are nobody's equal.
WITH numbered AS MATERIALIZED (
    SELECT * FROM ROWS FROM (jsonb_to_recordset(%(rows)s::jsonb) AS ({definitions}))
        WITH ORDINALITY AS row_in ({columns}, celeriac_number)
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY {key}, CASE WHEN {key_has_null} THEN celeriac_number END
        ORDER BY celeriac_number DESC
    ) AS celeriac_rank
    FROM numbered
), written AS (
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM ranked WHERE celeriac_rank = 1 ORDER BY {key}
    ON CONFLICT ({key}) DO UPDATE SET {assignments}
    -- xmax is zero on a fresh row and names this transaction on an updated one.
    RETURNING {key}, (xmax = 0) AS celeriac_is_new
)
SELECT
    celeriac_number,
    CASE
        WHEN celeriac_rank > 1 THEN 'superseded'
        WHEN celeriac_is_new IS NULL THEN 'ignored'
        ELSE 'updated'
    END
FROM ranked LEFT JOIN written USING ({key})
WHERE celeriac_rank > 1 OR (celeriac_is_new IS NOT TRUE AND NOT ({key_has_null}))
