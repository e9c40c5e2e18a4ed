-- The rows that cannot be read, each with its first bad value: whole rows as JSON, then columns.
WITH row_in AS MATERIALIZED (
    SELECT
        celeriac_number,
        celeriac_text,
        CASE WHEN pg_input_is_valid(celeriac_text, 'jsonb') THEN celeriac_text::jsonb END AS celeriac_row
    FROM unnest({rows}::text[]) WITH ORDINALITY AS one (celeriac_text, celeriac_number)
)
SELECT celeriac_number, NULL AS column_name, refusal.sql_error_code, refusal.message
FROM row_in CROSS JOIN LATERAL pg_input_error_info(celeriac_text, 'jsonb') AS refusal
WHERE celeriac_row IS NULL
UNION ALL
SELECT celeriac_number, bad.column_name, refusal.sql_error_code, refusal.message
FROM row_in
CROSS JOIN LATERAL jsonb_to_record(celeriac_row) AS value_in ({texts})
CROSS JOIN LATERAL (
    SELECT * FROM (VALUES {values}) AS value (place, column_name, text_in, type_name)
    WHERE pg_input_is_valid(text_in, type_name) IS FALSE
    ORDER BY place
    LIMIT 1
) AS bad
CROSS JOIN LATERAL pg_input_error_info(bad.text_in, bad.type_name) AS refusal
WHERE celeriac_row IS NOT NULL AND ({any_is_bad})
