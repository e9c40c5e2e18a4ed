-- For rows of which no two have the same key; others raise 21000.
WITH written AS (
    INSERT INTO {table} AS celeriac_there ({columns})
    SELECT {columns} FROM (SELECT {values} FROM {source}) AS row_in
    ORDER BY {key}
    ON CONFLICT ({key}) DO UPDATE SET {assignments} {only_newer}
    RETURNING {is_new} AS celeriac_is_new
)
SELECT
    count(*) FILTER (WHERE celeriac_is_new), count(*) FILTER (WHERE NOT celeriac_is_new), 0::bigint
FROM written
