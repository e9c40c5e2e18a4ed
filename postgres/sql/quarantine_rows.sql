INSERT INTO celeriac.quarantine
    (job_id, row_number, target, row, column_name, sqlstate, message, redacted)
SELECT
    job_id, row_number, target, row_in, column_name, sqlstate, message,
    (SELECT array_agg(name) FROM json_array_elements_text(redacted) AS name)
FROM unnest(
    %(job_ids)s::text[], %(row_numbers)s::integer[], %(targets)s::text[], %(rows)s::json[],
    %(columns)s::text[], %(sqlstates)s::text[], %(messages)s::text[], %(redacted)s::json[]
) AS refused (
    job_id, row_number, target, row_in, column_name, sqlstate, message, redacted
)
