"""Every way in which a row can be bad: the bad ones are set aside, each with its reason."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, islice
from math import isqrt
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions

from postgres.migrate import migrate
from postgres.session import Session
from tests.apt import INSTALLING
from tests.integration.bad_row_corpus import CORPUS, GOOD, Bad, reason_of, row
from tests.integration.batches import child_on, deliver, settle
from tests.integration.oldest_postgres import OldPostgres, find_programs
from tests.integration.shop import query
from worker.child import Child

ROWS = 64
TARGETS = """
[thing]
table = "corpus.thing"
key = ["id"]
on_conflict = "{}"
"""


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the oldest PostgreSQL at hand."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL 14 or 15 in /usr/lib/postgresql, and apt-get gives none")
    server = OldPostgres(tmp_path_factory.mktemp("oldest"), programs)
    server.start()
    migrate(server.url())
    yield server.url()
    server.remove()


@pytest.fixture(params=["newest", pytest.param("oldest", marks=INSTALLING)])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a migrated database with the corpus's table, and nothing in it yet."""
    name = "database" if request.param == "newest" else "oldest"
    url: str = request.getfixturevalue(name)
    query(url, Path(__file__).with_name("corpus.sql").read_text())
    yield url
    query(url, "DROP SCHEMA corpus CASCADE; TRUNCATE celeriac.job CASCADE")


@pytest.fixture
def cursor(server: str) -> Iterator[extensions.cursor]:
    """A cursor of the test's own; each statement is committed."""
    with closing(psycopg2.connect(server)) as connection:
        connection.autocommit = True
        yield connection.cursor()


@pytest.fixture(params=["error", "ignore", "update"])
def child(server: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Child]:
    """A child on the corpus's table."""
    (tmp_path / "targets.toml").write_text(TARGETS.format(request.param))
    with child_on(server, catalog=tmp_path, session=Session(statement_seconds=20)) as child:
        yield child


def storm(value: int) -> Any:
    return pytest.param(value, marks=pytest.mark.storm)


def good_rows(count: int) -> list[dict[str, Any]]:
    return [row(number, changes) for number, changes in enumerate(islice(cycle(GOOD), count), 1)]


def check(
    child: Child, cursor: extensions.cursor, rows: Sequence[Any], bad: dict[int, Bad]
) -> None:
    """Send the rows as one job: the bad ones alone are in quarantine, each with its reason."""
    cursor.execute("BEGIN")
    reasons = {place: reason_of(cursor, rows[place]) for place in bad}
    cursor.execute("ROLLBACK")

    settled = settle(child, deliver("job", "thing", rows))

    counts = {"rows": len(rows), "inserted": len(rows) - len(bad), "quarantined": len(bad)}
    assert counts == settled["job"].result
    cursor.execute("SELECT row_number - 1, column_name, sqlstate, message FROM celeriac.quarantine")
    found = {place: one for place, *one in cursor.fetchall()}
    assert {place: [bad[place].column, *reasons[place]] for place in bad} == found
    assert {place: one.sqlstate for place, one in bad.items()} == {
        place: code for place, (_, code, _) in found.items()
    }
    cursor.execute("SELECT row_number - 1, row::text FROM celeriac.quarantine")
    kept = {place: json.loads(text) for place, text in cursor.fetchall()}
    assert {place: rows[place] for place in bad} == kept
    cursor.execute("SELECT id FROM corpus.thing WHERE id > 0")
    good = {one["id"] for place, one in enumerate(rows) if place not in bad}
    assert good == {id_ for (id_,) in cursor.fetchall()}


@pytest.mark.parametrize("child", ["error"], indirect=True)
def test_each_bad_row(child: Child, cursor: extensions.cursor) -> None:
    """First, in the middle or last: each sort of bad row alone is found, and named as it is."""
    for number, (name, bad) in enumerate(CORPUS.items()):
        rows = good_rows(7)
        place = (0, 3, 6)[number % 3]
        rows[place] = row(place + 1, bad.members)
        try:
            check(child, cursor, rows, {place: bad})
        except AssertionError as error:
            raise AssertionError(name) from error
        cursor.execute("DELETE FROM corpus.thing WHERE id > 0; DELETE FROM celeriac.quarantine")
        cursor.execute("DELETE FROM celeriac.job")


@pytest.mark.parametrize("count", [0, 2, ROWS, *(storm(few) for few in (1, isqrt(ROWS)))])
def test_bad_rows_of_all_sorts(child: Child, cursor: extensions.cursor, count: int) -> None:
    """None, one, two, a few or all of a batch are bad, each in another way."""
    rows = good_rows(ROWS)
    places = [number * (ROWS - 1) // max(1, count - 1) for number in range(count)]
    bad = dict(zip(places, cycle(CORPUS.values()), strict=False))
    for place, one in bad.items():
        rows[place] = row(place + 1, one.members)

    check(child, cursor, rows, bad)
