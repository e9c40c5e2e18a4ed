-- For rows that leave everything to defaults: an empty list of columns is no SQL.
INSERT INTO {table}
SELECT FROM jsonb_array_elements({json_in})
RETURNING 1
