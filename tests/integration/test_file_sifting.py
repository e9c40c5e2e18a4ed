"""Of a file with bad rows exactly the bad ones are set aside, however many, of whatever kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import depot
from tests.integration.batches import child_on, settle
from tests.integration.depot import deliver_file, write_csv
from tests.integration.shop import query
from worker.child import Child

ROWS = 250
HEADER = "id,weight,note,place"
Row = list[object]
#: By SQLSTATE: which field is spoiled, and by what.
SPOILED: dict[str, tuple[int, object]] = {
    "22P02": (0, "x"),
    "23514": (1, -1),
    "23502": (0, ""),
    "23503": (3, 99),
    "23505": (0, 0),
}


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str, tmp_path: Path) -> Iterator[Child]:
    """A child on the depot's tables, whose inbox is the test's folder."""
    depot.create_tables(database)
    query(database, "CREATE UNIQUE INDEX ON depot.parcel (id)")
    with child_on(database, catalog=depot.CATALOG, inbox=tmp_path) as child:
        yield child


def write(path: Path, bad: dict[int, str]) -> Path:
    """Write a file whose rows at these places are bad, each in its own way."""
    rows: list[Row] = [[n, 1, "a", 3] for n in range(ROWS)]
    for place, sqlstate in bad.items():
        field, value = SPOILED[sqlstate]
        rows[place][field] = value
    return write_csv(path, rows, header=HEADER)


def outcome(child: Child) -> tuple[list[object], dict[int, str]]:
    """Return the ids that are in, and the places of what was set aside; empty both."""
    good = query(child.pool.url, "DELETE FROM depot.parcel RETURNING id")
    bad = query(child.pool.url, "DELETE FROM celeriac.quarantine RETURNING row_number, sqlstate")
    # The first record is in the second line.
    return sorted(id_ for (id_,) in good), {line - 2: sqlstate for line, sqlstate in bad}


@pytest.mark.parametrize("sqlstate", SPOILED)
def test_exactly_the_bad_are_set_aside(child: Child, tmp_path: Path, sqlstate: str) -> None:
    """One bad row, some, and all but the first: no other is, and each has its reason."""
    for count in (1, 15, ROWS - 1):
        bad = {n * (ROWS - 1) // count: sqlstate for n in range(1, count + 1)}
        file = write(tmp_path / f"{count}.csv", bad)

        result = settle(child, deliver_file(f"bad-{count}", "parcel", file))[f"bad-{count}"].result

        assert ([n for n in range(ROWS) if n not in bad], bad) == outcome(child)
        assert {"rows": ROWS, "inserted": ROWS - count, "quarantined": count} == result


def test_all_kinds_of_bad_rows_in_each_chunk(child: Child, tmp_path: Path) -> None:
    """Unreadable rows before and between those that break rules confuse no line number."""
    kinds = [*SPOILED, "22P02", "22P02"]
    bad = {n: kinds[n % len(kinds)] for n in range(1, ROWS, 4)}
    file = write(tmp_path / "mixed.csv", bad)

    settle(child, deliver_file("mixed", "parcel", file))

    assert ([n for n in range(ROWS) if n not in bad], bad) == outcome(child)


def test_kinds_may_change_from_chunk_to_chunk(child: Child, tmp_path: Path) -> None:
    """What the chunks before were like does not matter, nor that some were clean."""
    bad = {50: "23503", 150: "22P02", 160: "23505"}
    file = write(tmp_path / "changing.csv", bad)

    settle(child, deliver_file("changing", "parcel", file, chunk_rows=40))

    assert ([n for n in range(ROWS) if n not in bad], bad) == outcome(child)
