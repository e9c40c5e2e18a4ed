-- find_broken_rows for rows that COPY brought.
WITH row_in AS MATERIALIZED (
    SELECT {values}, row_number() OVER (ORDER BY celeriac_chunk.ctid) AS celeriac_number
    FROM {source}
), judged AS MATERIALIZED (
    SELECT *, coalesce({is_broken}, false) AS celeriac_is_broken FROM row_in
)
SELECT celeriac_number FROM judged WHERE celeriac_is_broken
{repeated}
