SELECT
    attname,
    format_type(atttypid, atttypmod),
    -- A view's columns take the defaults of the table below it.
    atthasdef OR attidentity <> '' OR typdefault IS NOT NULL OR relkind = 'v' AS has_default
FROM pg_catalog.pg_attribute
JOIN pg_catalog.pg_type ON pg_type.oid = atttypid
JOIN pg_catalog.pg_class ON pg_class.oid = attrelid
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
