SELECT *
FROM (
{query}
) AS answer
LIMIT {rows}
