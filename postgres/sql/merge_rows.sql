-- Of the rows of a key the best one wins: the last, or the newest and of equal ones the first.
-- Those before it are superseded; a row that comes late, here or in the table, is ignored.
-- Keys are compared as their types compare them; NULL keys are nobody's equal.
WITH numbered AS MATERIALIZED (
    {numbered}
), ranked AS (
    SELECT
        *,
        row_number() OVER best_first AS celeriac_rank,
        first_value(celeriac_number) OVER best_first AS celeriac_winner
    FROM numbered
    WINDOW best_first AS (
        PARTITION BY {key}, CASE WHEN {key_has_null} THEN celeriac_number END
        ORDER BY {best_first}
    )
), written AS (
    INSERT INTO {table} AS celeriac_there ({columns})
    SELECT {columns} FROM ranked WHERE celeriac_rank = 1 ORDER BY {key}
    ON CONFLICT ({key}) DO UPDATE SET {assignments} {only_newer}
    RETURNING {key}, {is_new} AS celeriac_is_new
), judged AS (
    -- Its key is there by now, so nothing goes in: but a row that is bad is refused.
    INSERT INTO {table} ({columns})
    SELECT {columns} FROM ranked LEFT JOIN written USING ({key})
    WHERE celeriac_rank > 1 AND (celeriac_is_new IS NOT NULL OR {keeps_late_rows_out})
    ORDER BY {key}, celeriac_rank
    ON CONFLICT ({key}) DO NOTHING
)
{accounts}
