"""Triggers may raise any code, also those by which a server says that it is in trouble."""

from collections.abc import Iterator

import pytest

from postgres.pool import Pool, PoolLimits
from postgres.server_trouble import is_well
from postgres.session import Session
from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Fate

#: Raises the code that a row brings as its note.
RAISES = """
CREATE OR REPLACE FUNCTION shop.raise_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.note IS NOT NULL THEN RAISE 'no, says the trigger' USING ERRCODE = NEW.note; END IF;
    RETURN NEW;
END $$;
"""
TRIGGERS = {
    "before": RAISES + "CREATE TRIGGER raises BEFORE INSERT ON shop.alpha"
    " FOR EACH ROW EXECUTE FUNCTION shop.raise_note()",
    "deferred": RAISES + "CREATE CONSTRAINT TRIGGER raises AFTER INSERT ON shop.alpha"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.raise_note()",
}
#: What a server in trouble says, and so does who reaches for another one, or another disk.
TROUBLE = ["08001", "25006", "53100"]

GOOD = {"n": 1}


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture(params=TRIGGERS)
def child(database: str, request: pytest.FixtureRequest) -> Iterator[Child]:
    """A child on the shop's tables; alpha's trigger raises what a row says."""
    create_tables(database)
    query(database, TRIGGERS[request.param])
    with child_on(database) as child:
        yield child


def quarantined(child: Child) -> list[tuple[str, int, str]]:
    return query(
        child.pool.url, "SELECT job_id, row_number, sqlstate FROM celeriac.quarantine ORDER BY 1, 2"
    )


def count(child: Child, table: str) -> int:
    ((rows,),) = query(child.pool.url, f"SELECT count(*) FROM {table}")
    return int(rows)


@pytest.mark.parametrize("code", TROUBLE)
def test_trouble_of_one_target_is_not_that_of_the_others(child: Child, code: str) -> None:
    """The server is well: that target's jobs wait, unwritten; the others commit beside them."""
    settled = settle(
        child,
        deliver("first", "alpha", [{"n": 1, "note": code}]),
        deliver("bad", "alpha", [GOOD, {"n": 2, "note": code}]),
        deliver("other", "beta", [{"n": 3}]),
    )

    assert (Fate.LATER, Fate.LATER) == (settled["first"].fate, settled["bad"].fate)
    assert f"no, says the trigger (SQLSTATE {code}" in str(settled["bad"].error)
    assert Fate.COMMITTED == settled["other"].fate
    assert [("other",)] == query(child.pool.url, "SELECT id FROM celeriac.job")
    assert (0, 1) == (count(child, "shop.alpha"), count(child, "shop.beta"))
    assert [] == quarantined(child)


def test_trouble_of_one_row_is_not_that_of_its_target(child: Child) -> None:
    """Only the job that brings it waits, whole; also beside a bad row, which is set aside."""
    good = [deliver(f"good-{n}", "alpha", [{"n": n}]) for n in range(20)]
    bad = deliver("bad", "alpha", [GOOD, {"n": 2, "note": "08006"}])
    mixed = deliver("mixed", "alpha", [{"n": "no number"}, {"n": 3}])

    settled = settle(child, bad, *good, mixed)

    assert Fate.LATER == settled.pop("bad").fate
    assert {Fate.COMMITTED} == {one.fate for one in settled.values()}
    assert [("mixed", 1, "22P02")] == quarantined(child)
    assert 21 == count(child, "shop.alpha")


@pytest.mark.parametrize(
    ("code", "has_room", "expected"),
    [("53100", True, Fate.LATER), ("53100", False, Fate.HELD), ("08001", True, Fate.HELD)],
)
def test_what_passes_by_itself_is_held_for_room_only(
    child: Child, code: str, has_room: bool, expected: Fate
) -> None:
    """Who waited long enough is held, with the reason; for a full disk only if no more may wait."""
    row = {"n": 2, "note": code}

    settled = settle(child, deliver("j", "alpha", [row], may_wait=False, has_room=has_room))

    assert expected == settled["j"].fate
    assert "no, says the trigger" in str(settled["j"].error)


@pytest.mark.parametrize("code", ["40P01", "57014", "XX000"])
def test_row_that_always_raises_is_set_aside(child: Child, code: str) -> None:
    """A collision that does not end, or an extension's refusal, is that row's; the others go in."""
    rows = [{"n": n, "note": code if n == 40 else None} for n in range(80)]

    settled = settle(child, deliver("bad", "alpha", rows), deliver("other", "beta", [{"n": 3}]))

    assert {Fate.COMMITTED} == {one.fate for one in settled.values()}
    assert {"rows": 80, "inserted": 79, "quarantined": 1} == settled["bad"].result
    assert [("bad", 41, code)] == quarantined(child)
    assert (79, 1) == (count(child, "shop.alpha"), count(child, "shop.beta"))


def test_closed_by_its_trigger(child: Child) -> None:
    """A trigger without rights or table holds its target, whenever it fires; others commit."""
    settled = settle(
        child,
        deliver("bad", "alpha", [{"n": 2, "note": "42501"}]),
        deliver("other", "beta", [{"n": 3}]),
    )

    assert (Fate.HELD, Fate.COMMITTED) == (settled["bad"].fate, settled["other"].fate)
    held = query(child.pool.url, "SELECT state, rows FROM celeriac.job WHERE id = 'bad'")
    assert [("held", 1)] == held


def test_job_that_takes_too_long_is_buried_as_what_it_is(database: str) -> None:
    """No row is looked for, which takes as long again each; the ledger knows target and rows."""
    create_tables(database)
    query(database, TRIGGERS["before"].replace("RAISE 'no,", "PERFORM pg_sleep(60); RAISE 'no,"))
    with child_on(database, session=Session(lock_seconds=0.1, statement_seconds=0.3)) as hasty:
        settled = settle(hasty, deliver("slow", "alpha", [GOOD, {"n": 2, "note": "P0001"}]))

    assert Fate.DEAD == settled["slow"].fate
    dead = query(database, "SELECT subject, rows, payload IS NOT NULL FROM celeriac.job")
    assert [("alpha", 2, True)] == dead


def test_server_that_takes_nothing_is_not_well(database: str) -> None:
    """One that is read-only is not; one that takes a table's pages is, and keeps none of them."""
    pool = Pool(database, PoolLimits(1))

    with pool.connection() as connection, connection.cursor() as cursor:
        well = is_well(cursor)
        cursor.execute("SELECT to_regclass('pg_temp.celeriac_room') IS NULL")
        (left_nothing,) = cursor.fetchone() or ()
        cursor.execute("SET TRANSACTION READ ONLY")
        read_only = is_well(cursor)
        connection.close()
        gone = is_well(cursor)
    pool.close()

    assert (True, True, False, False) == (well, left_nothing, read_only, gone)
