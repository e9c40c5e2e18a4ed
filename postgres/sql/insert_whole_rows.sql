INSERT INTO {table} ({columns})
SELECT {columns} FROM {json}_to_recordset(%(rows)s::{json}) AS row_in ({definitions})
{in_order}
RETURNING 1
