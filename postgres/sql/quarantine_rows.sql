INSERT INTO celeriac.quarantine (job_id, row_number, target, row, column_name, sqlstate, message)
SELECT * FROM unnest(
    %(job_ids)s::text[], %(row_numbers)s::integer[], %(targets)s::text[], %(rows)s::json[],
    %(columns)s::text[], %(sqlstates)s::text[], %(messages)s::text[]
)
