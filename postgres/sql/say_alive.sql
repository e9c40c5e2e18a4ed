-- Nothing is asked: the server notes when a session last said something.
SELECT
