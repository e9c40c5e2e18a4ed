-- Part of a merge: rows that came as JSON, in the order of arrival.
SELECT * FROM ROWS FROM (jsonb_to_recordset({json_in}) AS ({definitions}))
    WITH ORDINALITY AS row_in ({columns}, celeriac_number)
