-- As text: the cursor may have been told to leave numbers as PostgreSQL prints them.
SELECT
    asked.type_oid::text, asked.modifier::text,
    format_type(asked.type_oid, nullif(asked.modifier, -1))
FROM unnest(%(oids)s::oid[], %(modifiers)s::integer[]) AS asked (type_oid, modifier)
