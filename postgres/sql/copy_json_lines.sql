-- JSON holds no control characters, so nothing of it is ever quoted or doubled. Values of type json
-- keep the line breaks between their parts, where a space means the same.
COPY (
SELECT replace(replace(row_to_json(celeriac_answer.*)::text, E'\n', ' '), E'\r', ' ')
FROM (
{query}
) AS celeriac_answer
) TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8')
