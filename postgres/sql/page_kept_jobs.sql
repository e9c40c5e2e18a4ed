SELECT id FROM ({selected}) AS selected
WHERE id > %(after)s COLLATE "C"
ORDER BY id
LIMIT %(limit)s
