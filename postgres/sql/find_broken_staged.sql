-- find_broken_rows for rows that COPY brought; they are numbered in its order.
WITH row_in AS (
    SELECT {values}, celeriac_number FROM {source}
), judged AS (
    SELECT {judged}, coalesce({is_broken}, false) AS celeriac_is_broken FROM row_in
)
SELECT celeriac_number FROM judged WHERE celeriac_is_broken
{repeated}
