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
    EXCEPTION WHEN OTHERS THEN
        -- Refused before any row was looked at: then each of them is told so.
        first_attempt := 2;
    END;
    FOR number IN 1 .. cardinality(rows) LOOP
        FOR attempt IN first_attempt .. 2 LOOP
            BEGIN
                place := number;
                written := NULL;
                IF attempt = 1 THEN
                    EXECUTE format('EXECUTE celeriac_try (%L)', '[' || rows[number] || ']');
                ELSE
                    EXECUTE statement USING '[' || rows[number] || ']';
                    GET DIAGNOSTICS written = ROW_COUNT;
                END IF;
                -- Variables keep their values when the block's work is undone.
                RAISE EXCEPTION USING ERRCODE = 'CE003', MESSAGE = 'accepted';
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS
                    code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                    table_name = TABLE_NAME, column_name = COLUMN_NAME;
            END;
            EXIT WHEN code <> 'CE003';
        END LOOP;
        RETURN NEXT;
    END LOOP;
    IF first_attempt = 1 THEN
        DEALLOCATE celeriac_try;
    END IF;
END
$$;

-- It does nothing that its caller could not do. Still nobody has to see it but who sets rows aside.
DO $$
DECLARE
    worker regrole;
BEGIN
    REVOKE ALL ON FUNCTION celeriac.try_rows FROM PUBLIC;
    FOR worker IN
        SELECT DISTINCT grantee FROM pg_catalog.pg_class, aclexplode(relacl)
        WHERE oid = 'celeriac.quarantine'::regclass AND privilege_type = 'INSERT' AND grantee <> 0
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION celeriac.try_rows TO %s', worker);
    END LOOP;
END
$$;
