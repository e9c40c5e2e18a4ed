COPY (
{query}
) TO STDOUT (FORMAT csv, HEADER {header}, ENCODING 'UTF8')
