"""A file goes into its target, chunk by chunk, whatever its rows are like."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import depot
from tests.integration.batches import child_on, settle
from tests.integration.depot import deliver_file, parcels, write_csv
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Fate

ROWS = 1_050


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


def stored(child: Child, table: str = "parcel") -> list[tuple[object, ...]]:
    return query(child.pool.url, f"SELECT id, weight, note FROM depot.{table} ORDER BY id, note")


def account(child: Child, id_: str) -> tuple[object, ...]:
    (found,) = query(
        child.pool.url,
        "SELECT state, rows, inserted, updated, ignored, superseded, quarantined, error"
        " FROM celeriac.job WHERE id = %s",
        (id_,),
    )
    return found


def test_clean_file_is_copied_chunk_by_chunk(child: Child, tmp_path: Path) -> None:
    """All rows are in, each chunk in a transaction of its own, and the account adds up."""
    file = write_csv(tmp_path / "clean.csv", parcels(ROWS))

    settled = settle(child, deliver_file("clean", "parcel", file))["clean"]

    assert (Fate.COMMITTED, {"rows": ROWS, "inserted": ROWS, "quarantined": 0}) == (
        settled.fate,
        settled.result,
    )
    assert parcels(ROWS) == stored(child)
    assert ("committed", ROWS, ROWS, 0, 0, 0, 0, None) == account(child, "clean")
    ((transactions,),) = query(child.pool.url, "SELECT count(DISTINCT xact) FROM depot.parcel")
    assert 11 == transactions


def test_bad_rows_are_set_aside_with_their_lines(child: Child, tmp_path: Path) -> None:
    """Wrong types, a broken CHECK, no parent, ragged lines: these alone, each by its line."""
    rows = parcels(ROWS)
    lines = {
        5: "x,1,a,3",
        120: "120,-1,b,3",
        121: "121,1,c,99",
        340: "340,1",
        1_049: "1049,1,d,12,e",
    }
    file = tmp_path / "bad.csv"
    good = {n: f"{n},{weight},{note},3" for n, weight, note in rows}
    file.write_text("\n".join(["id,weight,note,place", *(good | lines).values()]) + "\n")

    settled = settle(child, deliver_file("bad", "parcel", file))["bad"]

    assert {"rows": ROWS, "inserted": ROWS - 5, "quarantined": 5} == settled.result
    found = query(
        child.pool.url,
        "SELECT row_number, sqlstate FROM celeriac.quarantine ORDER BY row_number",
    )
    reasons = [(7, "22P02"), (122, "23514"), (123, "23503"), (342, "22P04"), (1_051, "22P04")]
    assert reasons == found
    assert [one for one in rows if one[0] not in lines] == stored(child)


def test_raw_line_is_kept_where_there_is_no_row(child: Child, tmp_path: Path) -> None:
    """A record that is no row is kept as text, any other as the object that it would have been."""
    file = write_csv(tmp_path / "kept.csv", [(1, "heavy", "a"), (2, 1, "b", "c")])

    settle(child, deliver_file("kept", "parcel", file))

    kept = query(child.pool.url, "SELECT row::text FROM celeriac.quarantine ORDER BY row_number")
    assert [('{"id":"1","weight":"heavy","note":"a"}',), ('"2,1,b,c"',)] == kept


def test_first_row_of_a_key_stays(child: Child, tmp_path: Path) -> None:
    """Under ``ignore`` a repeated key is ignored, in one chunk, in two, and from before."""
    query(child.pool.url, "INSERT INTO depot.first_parcel (id, note) VALUES (7, 'before')")
    rows = [*parcels(150), (3, 1, "again"), (140, 1, "again"), (141, 1, "and again")]
    file = write_csv(tmp_path / "first.csv", rows)

    settle(child, deliver_file("first", "first_parcel", file))

    assert ("committed", 153, 149, 0, 4, 0, 0, None) == account(child, "first")
    notes = {id_: note for id_, _, note in stored(child, "first_parcel")}
    assert ("before", "parcel 3", "parcel 140") == (notes[7], notes[3], notes[140])


def test_last_row_of_a_key_wins(child: Child, tmp_path: Path) -> None:
    """Under ``update`` a chunk's earlier rows are superseded, what is there is updated."""
    query(child.pool.url, "INSERT INTO depot.last_parcel (id, note) VALUES (7, 'before')")
    rows = [*parcels(150), (3, 1, "again"), (140, 1, "again"), (141, 1, "and again")]
    file = write_csv(tmp_path / "last.csv", rows)

    settle(child, deliver_file("last", "last_parcel", file))

    # Rows 140 and 141 have theirs in the same chunk, row 3 in the one before.
    assert ("committed", 153, 149, 2, 0, 2, 0, None) == account(child, "last")
    notes = {id_: note for id_, _, note in stored(child, "last_parcel")}
    assert ("parcel 7", "again", "again", "and again") == (
        notes[7],
        notes[3],
        notes[140],
        notes[141],
    )


def test_atomic_file_is_one_transaction(child: Child, tmp_path: Path) -> None:
    """With ``atomic`` all chunks are committed together, or none is."""
    file = write_csv(tmp_path / "atomic.csv", parcels(ROWS))
    broken = tmp_path / "broken.csv"
    broken.write_text(file.read_text() + '"7,1,never closed\n')

    dead = settle(child, deliver_file("broken", "parcel", broken, atomic=True))["broken"]
    assert (Fate.DEAD, []) == (dead.fate, stored(child))
    assert "line 1052: a quote" in str(dead.error)

    settle(child, deliver_file("atomic", "parcel", file, atomic=True))
    assert parcels(ROWS) == stored(child)
    assert [(1,)] == query(child.pool.url, "SELECT count(DISTINCT xact) FROM depot.parcel")


def test_broken_file_keeps_what_came_before(child: Child, tmp_path: Path) -> None:
    """Chunks before the place where a file cannot be read stay, are counted, and it is told."""
    file = write_csv(tmp_path / "broken.csv", parcels(250))
    file.write_text(file.read_text() + '"7,1,never closed\n')

    dead = settle(child, deliver_file("broken", "parcel", file))["broken"]

    state, rows, inserted, *_, error = account(child, "broken")
    assert ("dead", 250, 250) == (state, rows, inserted)
    assert Fate.DEAD == dead.fate
    assert "250 rows of it are in, and stay" in str(error)


def test_wrong_header_is_refused_before_anything_is_loaded(child: Child, tmp_path: Path) -> None:
    """A file with a column that the target does not know is buried, naming it and those known."""
    file = write_csv(tmp_path / "header.csv", parcels(3), header="id,wait,note")

    dead = settle(child, deliver_file("header", "parcel", file))["header"]

    assert Fate.DEAD == dead.fate
    assert "line 1: the file has a column 'wait', which target parcel does not know" in str(
        dead.error
    )
    assert [] == stored(child)


def test_missing_file_is_buried(child: Child, tmp_path: Path) -> None:
    """A file that is not there can never be loaded."""
    dead = settle(child, deliver_file("gone", "parcel", tmp_path / "gone.csv"))["gone"]

    assert Fate.DEAD == dead.fate
    assert "gone.csv" in str(dead.error)


def test_json_is_read_as_json(child: Child, tmp_path: Path) -> None:
    """CSV's JSON and arrays mean the same, whether their chunk is copied or read row by row."""
    header = "id,body,tags\n"
    good = '{0},"{{""a"": [1, {0}]}}","{{x,y{0}}}"\n'
    clean, mixed = tmp_path / "clean.csv", tmp_path / "mixed.csv"
    clean.write_text(header + good.format(1))
    mixed.write_text(header + good.format(2) + "3,not json,\n4,,{unclosed\n")

    settle(child, deliver_file("clean", "document", clean))
    settle(child, deliver_file("mixed", "document", mixed))

    assert [(1, {"a": [1, 1]}, ["x", "y1"]), (2, {"a": [1, 2]}, ["x", "y2"])] == query(
        child.pool.url, "SELECT id, body, tags FROM depot.document ORDER BY id"
    )
    reasons = query(
        child.pool.url,
        "SELECT row_number, sqlstate, column_name FROM celeriac.quarantine ORDER BY 1",
    )
    assert [(3, "22P02", "body"), (4, "22P02", "tags")] == reasons


def test_json_lines_go_in_row_by_row(child: Child, tmp_path: Path) -> None:
    """JSON lines may name other columns each; numbers are taken as they were written."""
    file = tmp_path / "lines.jsonl"
    file.write_text(
        '{"id": 1, "weight": 12345678901234567.89}\n{"id": 2, "note": "b"}\n\n[3]\n{"id": "x"}\n'
    )

    settled = settle(child, deliver_file("lines", "parcel", file))["lines"]

    assert {"rows": 4, "inserted": 2, "quarantined": 2} == settled.result
    assert ["12345678901234567.89", "None"] == [str(weight) for _, weight, _ in stored(child)]
    lines = query(child.pool.url, "SELECT row_number FROM celeriac.quarantine ORDER BY 1")
    assert [(4,), (5,)] == lines
