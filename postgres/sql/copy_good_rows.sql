-- PostgreSQL 17 and later: a record with a value that its column's type does not take is told
-- by a notice, and left out.
COPY {table} ({columns}) FROM STDIN
WITH (
    FORMAT csv, DELIMITER {delimiter}, QUOTE {quote}, ESCAPE {escape}, NULL {null},
    ON_ERROR ignore, LOG_VERBOSITY verbose
)
