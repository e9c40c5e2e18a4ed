SELECT
    attname,
    format_type(atttypid, atttypmod),
    atthasdef OR attidentity <> '' AS has_default
FROM pg_catalog.pg_attribute
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
