INSERT INTO {table} ({columns})
SELECT {columns} FROM jsonb_to_recordset({json_in}) AS row_in ({definitions})
{in_order}
