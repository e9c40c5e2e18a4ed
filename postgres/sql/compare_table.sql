-- Part of an insert: raises if the table is no longer as it was described. Asked when the
-- statement has its lock on the table, which nobody can alter until it is over.
SELECT CASE
    WHEN (
        SELECT sum(xmin::text::bigint) FROM pg_catalog.pg_attribute
        WHERE attrelid = {table}::regclass AND attnum > 0
    ) = {version} THEN true
    ELSE celeriac.refuse({changed}) IS NULL
END
