-- What a relation is, how it stands in the order of writing, and by what a change of it shows.
WITH RECURSIVE asked AS (
    SELECT %(table)s::regclass::oid AS oid
), above AS (
    -- Its parents and theirs; a circle of foreign keys ends at the bound.
    SELECT oid, 0 AS level FROM asked
    UNION
    SELECT parent.confrelid, above.level + 1
    FROM above JOIN pg_catalog.pg_constraint AS parent ON parent.conrelid = above.oid
    WHERE parent.contype = 'f' AND parent.confrelid <> parent.conrelid AND above.level < 30
)
SELECT
    relkind::text,
    (SELECT max(level) FROM above),
    -- Whatever is altered of a column is a new version of its row here.
    (SELECT sum(xmin::text::bigint)::bigint FROM pg_catalog.pg_attribute
     WHERE attrelid = asked.oid AND attnum > 0),
    pg_relation_filenode(asked.oid)::bigint,
    -- tgtype: 4 is INSERT, 64 is INSTEAD OF.
    EXISTS (
        SELECT FROM pg_catalog.pg_trigger
        WHERE tgrelid = asked.oid AND tgtype & 68 = 68 AND NOT tgisinternal
    ),
    current_setting('server_version_num')::integer >= 180000
FROM asked JOIN pg_catalog.pg_class USING (oid)
