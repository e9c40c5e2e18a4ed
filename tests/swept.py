"""A migrated database for many tests, one after the other, each of which finds it empty.

To copy the template anew costs several hundred files; to empty what a test filled costs little.
A test that altered what migrations made leaves a database that nobody else gets.
"""

from contextlib import closing

import psycopg2

#: What migrations made, in one word; the tests' own schemas are no part of it.
_SHAPE = """
WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'celeriac'), parts (part) AS (
    SELECT concat_ws(' ', oid, relname, relkind, relacl, reloptions, relrowsecurity) FROM pg_class
    WHERE relnamespace = (TABLE ours) AND relkind <> 'i'
    UNION ALL
    SELECT concat_ws(' ', attrelid, attname, atttypid, attnotnull, atthasdef, attacl, attoptions)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = (TABLE ours) AND relkind <> 'i'
    UNION ALL
    SELECT concat_ws(' ', indexrelid, indisvalid, indkey) FROM pg_index
    JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = (TABLE ours)
    UNION ALL
    SELECT concat_ws(' ', oid, conname, convalidated) FROM pg_constraint
    WHERE connamespace = (TABLE ours)
    UNION ALL
    SELECT concat_ws(' ', pg_trigger.oid, tgname, tgenabled) FROM pg_trigger
    JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = (TABLE ours)
    UNION ALL
    SELECT concat_ws(' ', oid, proname, proacl, proconfig, md5(prosrc)) FROM pg_proc
    WHERE pronamespace = (TABLE ours)
    UNION ALL
    SELECT concat_ws(' ', setrole, setconfig) FROM pg_db_role_setting
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
    UNION ALL
    SELECT concat_ws(' ', evtname) FROM pg_event_trigger
    UNION ALL
    SELECT concat_ws(' ', number, name) FROM celeriac.migration
)
SELECT md5(string_agg(part, E'\\n' ORDER BY part)) FROM parts
"""

_SWEEP = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT quote_ident(nspname) FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname NOT IN ('celeriac', 'information_schema', 'public')
    LOOP
        EXECUTE format('DROP SCHEMA %s CASCADE', name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_depend WHERE refobjid = 'public'::regnamespace) THEN
        DROP SCHEMA public CASCADE;
        CREATE SCHEMA public AUTHORIZATION pg_database_owner;
        GRANT USAGE ON SCHEMA public TO PUBLIC;
    END IF;
    SELECT string_agg(relid::regclass::text, ', ') INTO name FROM pg_stat_user_tables
    WHERE schemaname = 'celeriac' AND relname <> 'migration';
    EXECUTE format('TRUNCATE %s RESTART IDENTITY CASCADE', name);
END $$
"""


class SweptDatabase:
    """One database at a time; its shape is that of its first moment, or it is given up."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._shape = self._run(_SHAPE)

    def sweep(self) -> bool:
        """Empty it for the next test; tell whether it is what it was."""
        self._run(_SWEEP)
        return self._run(_SHAPE) == self._shape

    def _run(self, statements: str) -> object:
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statements)
                return cursor.fetchall() if cursor.description else None
