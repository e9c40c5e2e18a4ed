COPY {table} ({columns}) FROM STDIN
WITH (FORMAT csv, DELIMITER {delimiter}, QUOTE {quote}, ESCAPE {escape}, NULL {null})
