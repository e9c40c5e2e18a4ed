-- What a role has to know and to be allowed before it writes to a table, by names alone:
-- asking by regclass would fail where the schema may not be looked into.
SELECT json_build_object(
    'role', current_user,
    'kind', relkind::text,
    'takes_rows', relkind IN ('r', 'p', 'f') OR pg_relation_is_updatable(relation.oid, true) & 8 <> 0,
    'sees_schema', has_schema_privilege(relnamespace, 'USAGE'),
    'inserts', has_table_privilege(relation.oid, 'INSERT')
        OR has_any_column_privilege(relation.oid, 'INSERT'),
    'updates', has_table_privilege(relation.oid, 'UPDATE')
        OR has_any_column_privilege(relation.oid, 'UPDATE'),
    'selects', has_table_privilege(relation.oid, 'SELECT')
        OR has_any_column_privilege(relation.oid, 'SELECT'),
    'generated', (
        SELECT coalesce(json_agg(attname ORDER BY attnum), '[]')
        FROM pg_catalog.pg_attribute
        WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attgenerated <> ''
    ),
    'forbidden_sequences', (
        SELECT coalesce(json_agg(DISTINCT sequence.oid::regclass::text), '[]')
        FROM pg_catalog.pg_depend
        JOIN pg_catalog.pg_class AS sequence ON sequence.oid = objid
        -- 'a' is a serial column's; an identity column's, 'i', needs no right of its own.
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
            AND refobjid = relation.oid AND deptype = 'a'
            -- In a CASE, since asking it of an index fails.
            AND CASE sequence.relkind
                WHEN 'S' THEN NOT has_sequence_privilege(sequence.oid, 'USAGE')
                ELSE false
            END
    ),
    'unique_keys', (
        SELECT coalesce(json_agg(json_build_object(
            'columns', (
                SELECT json_agg(attname ORDER BY place)
                FROM unnest(indkey::int[]) WITH ORDINALITY AS key (number, place)
                JOIN pg_catalog.pg_attribute ON attrelid = indrelid AND attnum = number
                WHERE place <= indnkeyatts
            ),
            'is_whole', indpred IS NULL AND indexprs IS NULL,
            'is_immediate', indimmediate
        ) ORDER BY indexrelid), '[]')
        FROM pg_catalog.pg_index
        WHERE indrelid = relation.oid AND indisunique AND indisvalid
    )
)
FROM pg_catalog.pg_class AS relation
JOIN pg_catalog.pg_namespace AS schema ON schema.oid = relnamespace
WHERE schema.nspname = %(schema)s AND relation.relname = %(table)s
