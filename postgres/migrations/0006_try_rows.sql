-- Bad rows are guessed by sets and judged one by one. Judged here, hundreds of them take one
-- round trip, and the words are those of the insert itself.
-- It runs what its caller could run, with the caller's rights, and undoes it.
CREATE FUNCTION celeriac.try_rows(statement text, rows text[])
RETURNS TABLE (
    place integer, written bigint, code text, message text, table_name text, column_name text
)
LANGUAGE plpgsql AS $$
BEGIN
    FOR number IN 1 .. cardinality(rows) LOOP
        BEGIN
            place := number;
            written := NULL;
            EXECUTE statement USING '[' || rows[number] || ']';
            GET DIAGNOSTICS written = ROW_COUNT;
            -- Variables keep their values when the block's work is undone.
            RAISE EXCEPTION USING ERRCODE = 'CE003', MESSAGE = 'accepted';
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS
                code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                table_name = TABLE_NAME, column_name = COLUMN_NAME;
        END;
        RETURN NEXT;
    END LOOP;
END
$$;

COMMENT ON FUNCTION celeriac.try_rows IS
    'Runs an insert for each row alone, undoes it, and tells what PostgreSQL said; CE003: it was accepted.';
