"""Tables that Django made, with its deferred foreign keys, are targets like any other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import query
from tests.workers import ROOT
from worker.child import Child
from worker.delivery import Fate

#: Targets go in by name: the child's comes before its parent's.
CATALOG = """
[a_book]
table = "library_book"

[z_author]
table = "library_author"
key = ["code"]
"""
AUTHOR = {"code": "eliot", "name": "George Eliot"}


def book(title: str, author: str = "eliot") -> dict[str, object]:
    return {"title": title, "price": "9.99", "author_id": author, "added": "2024-05-01T12:00:00Z"}


@pytest.fixture
def child(database: str, tmp_path: Path) -> Iterator[Child]:
    """A child on Django's tables."""
    (tmp_path / "targets.toml").write_text(CATALOG)
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    subprocess.run(
        [sys.executable, "-m", "tests.integration.django_tables", database],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        check=True,
    )
    with child_on(database, catalog=tmp_path) as child:
        yield child


def titles(child: Child) -> list[str]:
    return [
        title for (title,) in query(child.pool.url, "SELECT title FROM library_book ORDER BY 1")
    ]


def test_django_defers_its_foreign_keys(child: Child) -> None:
    """The constraint under test is what Django makes: checked at COMMIT only."""
    found = query(
        child.pool.url,
        "SELECT condeferred FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid = 'library_book'::regclass",
    )

    assert [(True,)] == found


def test_parent_and_child_in_one_batch(child: Child) -> None:
    """A book that arrives before its author, in the same batch, is committed with it."""
    settled = settle(
        child, deliver("book", "a_book", [book("Romola")]), deliver("author", "z_author", [AUTHOR])
    )

    assert {Fate.COMMITTED} == {one.fate for one in settled.values()}
    assert ["Romola"] == titles(child)
    assert [(0,)] == query(child.pool.url, "SELECT count(*) FROM celeriac.quarantine")


def test_orphan_is_quarantined(child: Child) -> None:
    """A book without author goes to quarantine with 23503; its neighbours are committed."""
    books = [book("Romola"), book("Orphan", "nobody"), book("Middlemarch")]

    settled = settle(
        child,
        deliver("books", "a_book", books),
        deliver("author", "z_author", [AUTHOR]),
        deliver("more", "a_book", [book("Adam Bede")]),
    )

    assert {"rows": 3, "inserted": 2, "quarantined": 1} == settled["books"].result
    assert {"rows": 1, "inserted": 1, "quarantined": 0} == settled["more"].result
    assert ["Adam Bede", "Middlemarch", "Romola"] == titles(child)
    ((job, row, target, sqlstate, message),) = query(
        child.pool.url,
        "SELECT job_id, row_number, target, sqlstate, message FROM celeriac.quarantine",
    )
    assert ("books", 2, "a_book", "23503") == (job, row, target, sqlstate)
    assert "violates foreign key constraint" in message


def test_lone_orphan_is_quarantined(child: Child) -> None:
    """A job of orphans only is committed with all its rows in quarantine."""
    settled = settle(child, deliver("orphans", "a_book", [book("A", "x"), book("B", "y")]))

    assert {"rows": 2, "inserted": 0, "quarantined": 2} == settled["orphans"].result
    assert [] == titles(child)


def test_value_that_django_would_refuse(child: Child) -> None:
    """Too long a title is refused by the column that Django made."""
    settled = settle(
        child,
        deliver("author", "z_author", [AUTHOR]),
        deliver("books", "a_book", [book("x" * 101), book("Romola")]),
    )

    assert {"rows": 2, "inserted": 1, "quarantined": 1} == settled["books"].result
    found = query(child.pool.url, "SELECT sqlstate, message FROM celeriac.quarantine")
    assert [("22001", "value too long for type character varying(100)")] == found
