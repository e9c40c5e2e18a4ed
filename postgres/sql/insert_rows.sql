INSERT INTO {table} ({columns})
SELECT {columns} FROM jsonb_to_recordset(%(rows)s::jsonb) AS row_in ({definitions})
{in_order}
