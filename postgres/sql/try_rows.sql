SELECT place, written, code, message, nullif(table_name, ''), nullif(column_name, '')
FROM celeriac.try_rows(%(statement)s, %(rows)s::text[])
