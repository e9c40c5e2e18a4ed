-- Whether the schema is there, may be used, and holds functions that may be called.
SELECT
    pg_namespace.oid IS NOT NULL,
    coalesce(has_schema_privilege(pg_namespace.oid, 'USAGE'), false),
    count(pg_proc.oid) >= 3,
    coalesce(bool_and(has_function_privilege(pg_proc.oid, 'EXECUTE')), false)
FROM (VALUES ('celeriac')) AS wanted (name)
LEFT JOIN pg_namespace ON pg_namespace.nspname = wanted.name
LEFT JOIN pg_proc ON pg_proc.pronamespace = pg_namespace.oid
    AND pg_proc.proname IN ('enqueue', 'enqueue_many', 'state')
GROUP BY pg_namespace.oid
