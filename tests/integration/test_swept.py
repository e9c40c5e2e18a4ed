"""What a test left in a database that others get after it is gone, or nobody gets it."""

import pytest

from tests.integration.shop import create_tables, query
from tests.swept import SweptDatabase

FILLED = """
CREATE TABLE public.left_over AS SELECT 1 AS number;
SELECT celeriac.enqueue('celeriac.ingest', '{"target": "alpha", "rows": [{"n": 1}]}')
"""
LEFT = """
SELECT (SELECT count(*) FROM celeriac.outbox), to_regnamespace('shop'), to_regclass('left_over'),
       (SELECT count(*) > 0 FROM celeriac.migration)
"""


def test_swept_database_is_empty_and_migrated(database: str) -> None:
    """Rows, schemas and tables of a test are gone; what migrations made is there and works."""
    swept = SweptDatabase(database)
    create_tables(database)
    query(database, FILLED)

    kept = swept.sweep()

    assert kept
    assert [(0, None, None, True)] == query(database, LEFT)
    query(database, FILLED)
    assert [(1,)] == query(database, "SELECT number FROM celeriac.outbox")


@pytest.mark.parametrize(
    "alteration",
    [
        "ALTER TABLE celeriac.outbox ADD CONSTRAINT no CHECK (id <> 'x')",
        "ALTER TABLE celeriac.outbox SET (autovacuum_enabled = off)",
        "ALTER TABLE celeriac.job ALTER subject SET NOT NULL; DROP TABLE celeriac.quarantine",
        "ALTER FUNCTION celeriac.state(text) RENAME TO other",
        "GRANT SELECT ON celeriac.job TO pg_monitor",
    ],
)
def test_altered_database_is_given_up(swept_database: str, alteration: str) -> None:
    """A test that changed what migrations made is told apart, and the next one finds another."""
    swept = SweptDatabase(swept_database)
    query(swept_database, alteration)

    assert not swept.sweep()
