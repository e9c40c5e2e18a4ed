-- Claims and rows of many jobs in one statement, which is its own transaction.
-- CASE fixes the order: each part runs to its end when it is counted, the claims
-- first. A part that wrote another number of rows than it should undoes them all.
WITH claimed AS (
{claim}
){writes}
SELECT CASE
    WHEN (SELECT jobs FROM claimed) <> {jobs}
        THEN celeriac.refuse('a target of these jobs is held')
    {checks}
END AS committed
