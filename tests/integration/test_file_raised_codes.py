"""A trigger raises any code it likes for a record of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import depot
from tests.integration.batches import child_on, settle_each
from tests.integration.depot import deliver_file, parcels, write_csv
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Fate

ROWS = 300
TRIGGER = """
CREATE FUNCTION depot.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.id = 150 THEN RAISE 'no, says the trigger' USING ERRCODE = '{code}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuses BEFORE INSERT ON depot.parcel FOR EACH ROW EXECUTE FUNCTION depot.refuse();
"""


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str, tmp_path: Path) -> Iterator[Child]:
    """A child on the depot's tables, whose inbox is the test's folder."""
    depot.create_tables(database)
    with child_on(database, catalog=depot.CATALOG, inbox=tmp_path) as child:
        yield child


@pytest.mark.parametrize("code", ["40P01", "XX000"])
def test_record_that_always_raises_is_set_aside(child: Child, tmp_path: Path, code: str) -> None:
    """Also where a collision would be tried again: that record alone is bad."""
    query(child.pool.url, TRIGGER.format(code=code))
    job = deliver_file("j", "parcel", write_csv(tmp_path / "a.csv", parcels(ROWS)))

    (settled,) = settle_each(child, job)

    assert (Fate.COMMITTED, None) == (settled.fate, settled.error)
    bad = query(child.pool.url, "SELECT row_number, sqlstate FROM celeriac.quarantine")
    assert [(152, code)] == bad, "the header is a line, too"
    assert [(ROWS - 1,)] == query(child.pool.url, "SELECT count(*) FROM depot.parcel")


def test_file_of_a_target_in_trouble_waits(child: Child, tmp_path: Path) -> None:
    """The server is well: the job goes on later where it was, and nobody waits with it."""
    query(child.pool.url, TRIGGER.format(code="53100"))
    job = deliver_file("j", "parcel", write_csv(tmp_path / "a.csv", parcels(ROWS)))

    (troubled,) = settle_each(child, job)
    query(child.pool.url, "DROP FUNCTION depot.refuse CASCADE")
    (settled,) = settle_each(child, job)

    assert (Fate.LATER, Fate.COMMITTED) == (troubled.fate, settled.fate)
    assert "no, says the trigger (SQLSTATE 53100" in str(troubled.error)
    assert [(ROWS,)] == query(child.pool.url, "SELECT count(*) FROM depot.parcel")
