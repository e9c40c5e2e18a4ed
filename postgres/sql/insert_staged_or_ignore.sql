-- In the order of the keys, like everybody; of equal keys the first one wins.
INSERT INTO {table} ({columns})
SELECT {columns} FROM (SELECT {values}, celeriac_number FROM {source}) AS row_in
ORDER BY {key}, celeriac_number
ON CONFLICT ({key}) DO NOTHING
