"""Bad rows among rows that depend on each other, and on what the table makes of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from postgres.transaction import transaction
from tasks.insert import TargetRows
from tasks.isolate import isolate
from tasks.rows import Row
from tasks.targets import load_targets
from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import query
from worker.child import Child

TABLES = """
CREATE SCHEMA kin;
CREATE TABLE kin.person (
    id     integer PRIMARY KEY,
    parent integer REFERENCES kin.person,
    name   text NOT NULL CHECK (name <> 'bad')
);
CREATE TABLE kin.measure (at date NOT NULL, n integer) PARTITION BY RANGE (at);
CREATE TABLE kin.measure_2024 PARTITION OF kin.measure
    FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE kin.stamped (id integer PRIMARY KEY, made_by text NOT NULL, code integer UNIQUE);
CREATE FUNCTION kin.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.made_by := coalesce(NEW.made_by, 'a trigger');
    RETURN NEW;
END
$$;
CREATE TRIGGER stamp BEFORE INSERT ON kin.stamped FOR EACH ROW EXECUTE FUNCTION kin.stamp();
"""
TARGETS = """
[person]
table = "kin.person"
key = ["id"]
on_conflict = "{0}"
[measure]
table = "kin.measure"
[stamped]
table = "kin.stamped"
"""
Opener = Callable[[str], Child]


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def open_child(database: str, tmp_path: Path) -> Iterator[Opener]:
    """Open a child whose persons are written on these terms."""
    query(database, TABLES)
    with ExitStack() as stack:

        def opened(on_conflict: str = "error") -> Child:
            (tmp_path / "targets.toml").write_text(TARGETS.format(on_conflict))
            return stack.enter_context(child_on(database, catalog=tmp_path))

        yield opened


def quarantined(child: Child) -> list[tuple[Any, ...]]:
    return query(
        child.pool.url,
        "SELECT job_id, row_number, sqlstate FROM celeriac.quarantine ORDER BY 1, 2",
    )


def person(id_: int, parent: int | None = None, name: str = "x") -> dict[str, Any]:
    return {"id": id_, "parent": parent, "name": name}


def test_family_arrives_in_any_order(open_child: Opener) -> None:
    """Children before their parents stay, whatever else is bad; those of bad parents do not."""
    child = open_child("error")
    rows = [person(3, 2), person(2, 1), person(1), person(6, 5), person(5, 4), person(4, 0, "bad")]

    settle(child, deliver("family", "person", rows))

    assert [(1,), (2,), (3,)] == query(child.pool.url, "SELECT id FROM kin.person ORDER BY 1")
    expected = [("family", 4, "23503"), ("family", 5, "23503"), ("family", 6, "23514")]
    assert expected == quarantined(child)


def test_late_parent_does_not_turn_time_back(open_child: Opener) -> None:
    """Under update the last good row of a key wins, also where an earlier one waited."""
    child = open_child("update")
    rows = [person(2, 1, "old"), person(1), person(2, 1, "new"), person(9, None, "bad")]

    settled = settle(child, deliver("family", "person", rows))

    expected = {"rows": 4, "inserted": 2, "superseded": 1, "quarantined": 1}
    assert expected == settled["family"].result
    assert [("new",)] == query(child.pool.url, "SELECT name FROM kin.person WHERE id = 2")


def test_row_without_a_partition(open_child: Opener) -> None:
    """Rows for which there is no partition are set aside as PostgreSQL words it."""
    child = open_child("error")
    rows = [{"at": "2024-05-01", "n": 1}, {"at": "2023-05-01", "n": 2}, {"at": None, "n": 3}]

    settled = settle(child, deliver("job", "measure", rows))

    assert {"rows": 3, "inserted": 1, "quarantined": 2} == settled["job"].result
    assert [("job", 2, "23514"), ("job", 3, "23514")] == quarantined(child)


@pytest.mark.parametrize("rows", [20, 400])
def test_wrong_guess_costs_no_row(open_child: Opener, rows: int) -> None:
    """What a trigger mends is good, though the table's rules say otherwise."""
    child = open_child("error")
    sent = [{"id": n, "made_by": None, "code": 0 if n in (7, 11) else n} for n in range(rows)]

    settled = settle(child, deliver("job", "stamped", sent))

    assert {"rows": rows, "inserted": rows - 2, "quarantined": 2} == settled["job"].result
    assert [("job", 8, "23505"), ("job", 12, "23505")] == quarantined(child)


def test_large_values(open_child: Opener, tmp_path: Path) -> None:
    """A value of ten megabytes goes in, and one that is bad is found; a file may bring such."""
    child = open_child("error")
    target = load_targets(tmp_path)["person"]
    large = "x" * 10_000_000
    sent = [person(1, None, large), person(2, None, large) | {"id": large}]
    rows = [
        Row("job", number, json.dumps(one), frozenset(one)) for number, one in enumerate(sent, 1)
    ]

    with transaction(child.pool) as cursor:
        written = isolate([TargetRows(target, rows)], cursor)

    refused = [(row.number, reason.sqlstate) for one in written for row, reason in one.refused]
    assert [(2, "22P02")] == refused
    assert [(1, len(large))] == query(child.pool.url, "SELECT id, length(name) FROM kin.person")
