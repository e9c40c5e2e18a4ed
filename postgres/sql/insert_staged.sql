INSERT INTO {table} ({columns})
SELECT {values} FROM {source}
