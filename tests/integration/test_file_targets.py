"""A file and an ingest job with the same rows leave the same in a target, whatever it declares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import depot
from tests.integration.batches import child_on, deliver, settle
from tests.integration.depot import deliver_file, parcels, write_csv
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Fate

HEADER = ["no", "at", "place", "note"]
EVENTS = [
    ["1", "2026-01-01 12:00", "hall", "a"],
    ["2", "2026-07-01 12:00", "yard", None],
    ["1", "2026-01-01 13:00", None, "newer"],
    ["2", "2026-06-01 12:00", "hall", "late"],
]
#: One of them makes PostgreSQL refuse the chunk, so that all of it is read row by row.
BAD_EVENT = ["x", "2026-01-01 12:00", "hall", "bad"]


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


def events(child: Child) -> list[tuple[object, ...]]:
    """Read what is stored and empty the table; provenance as whether it is right."""
    found = query(
        child.pool.url,
        "DELETE FROM depot.event"
        " RETURNING number, source, colour, at, rest, batch = xact OR batch IS NOT NULL",
    )
    return sorted(found)


def write_events(path: Path, rows: list[list[str | None]]) -> Path:
    return write_csv(path, [[value or "" for value in row] for row in rows], ",".join(HEADER))


@pytest.mark.parametrize("bad", [[], [BAD_EVENT]], ids=["copied", "sifted"])
def test_file_means_what_rows_mean(child: Child, tmp_path: Path, bad: list[list[str]]) -> None:
    """Names, constants, defaults, unknown members, zones, newest and provenance are the same."""
    rows = [*EVENTS, *bad]
    sent = [dict(zip(HEADER, row, strict=True)) for row in rows]
    by_rows = settle(child, deliver("rows", "event", sent))["rows"]
    expected = events(child)

    file = write_events(tmp_path / "events.csv", rows)
    by_file = settle(child, deliver_file("file", "event", file))["file"]

    assert expected == events(child)
    assert by_rows.result == by_file.result
    assert [{"note": "newer", "place": None}, {"note": None, "place": "yard"}] == [
        row[4] for row in expected
    ]


def test_provenance_names_job_and_batch(child: Child, tmp_path: Path) -> None:
    """Each chunk's rows name the job and the transaction that wrote them."""
    file = write_events(tmp_path / "events.csv", EVENTS)

    settle(child, deliver_file("named", "event", file))

    rows = query(child.pool.url, "SELECT DISTINCT job, batch = xact FROM depot.event")
    assert [("named", True)] == rows


def test_unknown_columns_are_left_out(child: Child, tmp_path: Path) -> None:
    """Where a target ignores what it does not know, a file may have more columns."""
    rows = [(n, weight, note, "more") for n, weight, note in parcels(150)]
    file = write_csv(tmp_path / "more.csv", rows, header="id,weight,note,more")

    settled = settle(child, deliver_file("more", "few_fields", file))["more"]

    assert {"rows": 150, "inserted": 150, "quarantined": 0} == settled.result


def test_strict_target_rejects_the_chunk(child: Child, tmp_path: Path) -> None:
    """Where one bad row rejects its job, the file ends there; the chunks before it stay."""
    file = write_csv(tmp_path / "strict.csv", [*parcels(150), ("x", 1, "bad")])

    dead = settle(child, deliver_file("strict", "strict_parcel", file))["strict"]

    assert Fate.DEAD == dead.fate
    assert "row 152 of target strict_parcel" in str(dead.error)
    assert [(100,)] == query(child.pool.url, "SELECT count(*) FROM depot.parcel")
    assert [("dead", 100)] == query(child.pool.url, "SELECT state, rows FROM celeriac.job")


def test_too_many_bad_rows_hold_the_target(child: Child, tmp_path: Path) -> None:
    """``max_bad`` counts over the whole file; above it the target is held, the chunk undone."""
    bad = [("x", 1, "bad")] * 2
    file = write_csv(tmp_path / "bad.csv", [*bad, *parcels(150), *bad])

    held = settle(child, deliver_file("bad", "tolerant_parcel", file))["bad"]

    assert (Fate.HELD, "job 'bad' has 4 bad rows of 154 so far, max_bad is 3 rows") == (
        held.fate,
        held.error,
    )
    assert [(98, 2)] == query(
        child.pool.url,
        "SELECT (SELECT count(*) FROM depot.parcel), count(*) FROM celeriac.quarantine",
    )


def test_share_of_bad_rows_is_of_the_whole_file(child: Child, tmp_path: Path) -> None:
    """Many bad rows in the first chunk are few of a long file, and do not hold its target."""
    rows = [(n, "heavy" if n < 20 else 1, "text") for n in range(1_000)]
    file = write_csv(tmp_path / "share.csv", rows)

    settled = settle(child, deliver_file("share", "mostly_good_parcel", file))["share"]

    assert (Fate.COMMITTED, None) == (settled.fate, settled.error)
    assert {"rows": 1_000, "inserted": 980, "quarantined": 20} == settled.result


def test_nothing_is_set_aside_twice(child: Child, tmp_path: Path) -> None:
    """Bad rows of every sort, foreign and repeated keys in one chunk: each once, by its line."""
    query(child.pool.url, "CREATE UNIQUE INDEX ON depot.parcel (id)")
    rows = [[n, n, f"p {n}", 3] for n in range(95)]
    rows[10][0], rows[20][1], rows[30][3], rows[40][0] = "x", -1, 99, 7
    file = write_csv(tmp_path / "mixed.csv", rows, header="id,weight,note,place")

    settled = settle(child, deliver_file("mixed", "parcel", file))["mixed"]

    assert {"rows": 95, "inserted": 91, "quarantined": 4} == settled.result
    found = query(child.pool.url, "SELECT row_number, sqlstate FROM celeriac.quarantine ORDER BY 1")
    assert [(12, "22P02"), (22, "23514"), (32, "23503"), (42, "23505")] == found
    texts = query(child.pool.url, "SELECT row FROM celeriac.quarantine ORDER BY row_number")
    assert {"id": "x", "weight": "10", "note": "p 10", "place": "3"} == texts[0][0]
