INSERT INTO {table} ({columns})
SELECT {columns} FROM {json}_to_recordset({json_in}) AS row_in ({definitions})
{in_order}
RETURNING 1
