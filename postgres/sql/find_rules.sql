-- What a table demands of its rows, as far as it can be asked of many rows at once.
-- Expressions are PostgreSQL's own text of what it stored. Columns that only newer servers
-- have are read by name, from the row as JSON.
WITH target AS (SELECT %(table)s::regclass AS oid),
own_column AS (
    SELECT a.*, t.typtype, t.typcategory, t.typnotnull, t.typnamespace,
        coalesce(b.typtype, t.typtype) AS base_kind,
        coalesce(b.typcategory, t.typcategory) AS base_category,
        coalesce(b.oid, t.oid) AS base_type
    FROM target
    JOIN pg_catalog.pg_attribute a ON a.attrelid = target.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
),
own_constraint AS (
    SELECT c.*, to_jsonb(c) AS entry
    FROM target JOIN pg_catalog.pg_constraint c ON c.conrelid = target.oid
),
leaf AS (
    SELECT pg_get_partition_constraintdef(tree.relid) AS expression
    FROM target, pg_catalog.pg_partition_tree(target.oid) tree
    WHERE tree.isleaf
),
parted AS (
    SELECT partrelid, partattrs
    FROM pg_catalog.pg_partitioned_table, target
    WHERE partrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(target.oid))
        OR partrelid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(target.oid))
)
SELECT json_build_object(
    'columns', (
        SELECT json_agg(json_build_object(
            'name', attname,
            'not_null', attnotnull,
            'fills_itself', atthasdef OR attidentity <> '',
            'never_written', attgenerated <> '' OR attidentity = 'a',
            'reading', CASE
                WHEN base_type IN ('json'::regtype, 'jsonb'::regtype) THEN 'unchecked'
                WHEN base_category = 'A' OR base_kind NOT IN ('b', 'e', 'r', 'm') THEN 'unchecked'
                WHEN typtype = 'd' OR base_type = 'xml'::regtype THEN 'risky'
                WHEN typtype = 'b' AND typnamespace <> 'pg_catalog'::regnamespace THEN 'risky'
                ELSE 'checked'
            END
        ) ORDER BY attnum) FROM own_column
    ),
    'checks', (
        SELECT coalesce(json_agg(json_build_object(
            'columns', (SELECT json_agg(attname) FROM own_column WHERE attnum = ANY (conkey)),
            'expression', pg_get_expr(conbin, conrelid)
        )), '[]')
        FROM own_constraint
        WHERE contype = 'c' AND entry->>'conenforced' IS DISTINCT FROM 'false'
            AND cardinality(conkey) > 0 AND 0 <> ALL (conkey)
    ),
    'parents', (
        SELECT coalesce(json_agg(json_build_object(
            'schema', (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = parent.relnamespace),
            'name', parent.relname,
            'is_itself', confrelid = conrelid,
            'match_full', confmatchtype = 'f',
            'columns', (
                SELECT json_agg(attname ORDER BY place)
                FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
                JOIN own_column ON attnum = number
            ),
            'keys', (
                SELECT json_agg(attname ORDER BY place)
                FROM unnest(confkey) WITH ORDINALITY AS key (number, place)
                JOIN pg_catalog.pg_attribute a ON a.attrelid = confrelid AND a.attnum = number
            )
        )), '[]')
        FROM own_constraint c JOIN pg_catalog.pg_class parent ON parent.oid = confrelid
        WHERE contype = 'f'
            AND entry->>'conenforced' IS DISTINCT FROM 'false'
            AND entry->>'conperiod' IS DISTINCT FROM 'true'
            -- A partitioned parent has a second constraint for each partition: not one more to meet.
            AND NOT EXISTS (SELECT FROM own_constraint whole WHERE whole.oid = c.conparentid)
            AND has_table_privilege(confrelid, 'SELECT') AND NOT row_security_active(confrelid)
    ),
    'unique_keys', (
        SELECT coalesce(json_agg(
            (
                SELECT json_agg(attname ORDER BY place)
                FROM unnest(indkey::int[]) WITH ORDINALITY AS key (number, place)
                JOIN own_column ON attnum = number
                WHERE place <= indnkeyatts
            )
        ), '[]')
        FROM target
        JOIN pg_catalog.pg_index ON indrelid = target.oid
        WHERE indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
            AND NOT indisexclusion
            AND has_table_privilege(target.oid, 'SELECT') AND NOT row_security_active(target.oid)
    ),
    'partitions', (
        SELECT coalesce(json_agg(expression), '[]')
        FROM leaf
        WHERE expression IS NOT NULL
            AND (SELECT count(*) FROM leaf) <= 100
            -- An expression as key: nobody says which columns it reads.
            AND NOT EXISTS (SELECT FROM parted WHERE 0 = ANY (partattrs::int[]))
    ),
    'partition_columns', (
        SELECT coalesce(json_agg(DISTINCT attname), '[]')
        FROM parted JOIN pg_catalog.pg_attribute ON attrelid = partrelid AND attnum = ANY (partattrs)
    )
)
