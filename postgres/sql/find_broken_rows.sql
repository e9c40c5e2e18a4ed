-- The rows that break a rule of the table, read as their columns' types; then those that
-- repeat a key of an earlier row. Only a guess: the insert itself has the last word.
WITH row_in AS MATERIALIZED (
    SELECT * FROM ROWS FROM (jsonb_to_recordset({rows}::jsonb) AS ({definitions}))
        WITH ORDINALITY AS row_in ({columns}, celeriac_number)
), judged AS MATERIALIZED (
    SELECT {judged}, coalesce({is_broken}, false) AS celeriac_is_broken FROM row_in
)
SELECT celeriac_number FROM judged WHERE celeriac_is_broken
{repeated}
