-- To plan an insert costs more than to run it: so it is planned once for all rows. How many rows
-- a prepared insert wrote nobody tells, hence a row that it took is tried once more, and counted.
--
-- A worker of the previous version runs on this schema: what it asks and is told is the same.
CREATE OR REPLACE FUNCTION celeriac.try_rows(statement text, rows text[])
RETURNS TABLE (
    place integer, written bigint, code text, message text, table_name text, column_name text
)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    first_attempt integer := 1;
BEGIN
    -- One that was cut short may have left it: prepared statements outlive their transaction.
    IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = 'celeriac_try') THEN
        DEALLOCATE celeriac_try;
    END IF;
    BEGIN
        EXECUTE 'PREPARE celeriac_try (text) AS ' || statement;
    EXCEPTION WHEN OTHERS OR assert_failure THEN
        -- Refused before any row was looked at: then each of them is told so.
        first_attempt := 2;
    END;
    FOR number IN 1 .. pg_catalog.cardinality(rows) LOOP
        FOR attempt IN first_attempt .. 2 LOOP
            BEGIN
                place := number;
                written := NULL;
                IF attempt = 1 THEN
                    EXECUTE pg_catalog.format('EXECUTE celeriac_try (%L)', '[' || rows[number] || ']');
                ELSE
                    EXECUTE statement USING '[' || rows[number] || ']';
                    GET DIAGNOSTICS written = ROW_COUNT;
                END IF;
                -- Variables keep their values when the block's work is undone.
                RAISE EXCEPTION USING ERRCODE = 'CE003', MESSAGE = 'accepted';
            EXCEPTION WHEN OTHERS OR assert_failure THEN
                GET STACKED DIAGNOSTICS
                    code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                    table_name = TABLE_NAME, column_name = COLUMN_NAME;
            END;
            EXIT WHEN code <> 'CE003';
        END LOOP;
        RETURN NEXT;
        -- Locks that others hold are no fault of a row, and to wait for each would take too long.
        EXIT WHEN code IN ('55P03', '40P01', '40001');
    END LOOP;
    IF first_attempt = 1 THEN
        DEALLOCATE celeriac_try;
    END IF;
END
$$;
