"""What the entries of a target do to rows, on a real table, by the short way and the careful."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.batches import child_on, deliver, settle
from tests.integration.shelf import relay_to, replay_all
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Delivery, Fate

TABLES = """
CREATE TABLE product (
    id         int PRIMARY KEY,
    name       text,
    price      numeric CHECK (price >= 0),
    changed_at timestamptz,
    rest       jsonb,
    job        text,
    batch      bigint,
    "odd %s %" text
);
CREATE TABLE "a_line" (
    line    int PRIMARY KEY,
    z_order int NOT NULL REFERENCES product
);
"""
KEYED = 'key = ["id"]\n'
UPDATE = f'{KEYED}on_conflict = "update"\n'
IGNORE = f'{KEYED}on_conflict = "ignore"\n'

Open = Callable[..., Child]


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def open_child(database: str, tmp_path: Path) -> Iterator[Open]:
    """Open a child on the tables, with these entries of the target ``product``."""
    query(database, TABLES)
    with ExitStack() as stack:

        def open_it(entries: str = "", more: str = "") -> Child:
            text = f'[product]\ntable = "product"\n{entries}\n{more}'
            (tmp_path / "targets.toml").write_text(text)
            return stack.enter_context(child_on(database, catalog=tmp_path))

        yield open_it


def ingest(child: Child, *rows: dict[str, Any], id_: str = "j", target: str = "product") -> Any:
    """Run one job; return its result."""
    return settle(child, deliver(id_, target, rows))[id_].result


def several(id_: str, rows: dict[str, Any]) -> Delivery:
    """Make the delivery of one job for several targets."""
    delivery = deliver(id_, "*", [])
    body = delivery.body.replace(b'"rows": []', b'"rows": ' + repr(rows).replace("'", '"').encode())
    return Delivery(id_, delivery.task, body)


def products(child: Child, columns: str = "id, name") -> list[tuple[Any, ...]]:
    return query(child.pool.url, f"SELECT {columns} FROM product ORDER BY id")


def reasons(child: Child) -> list[tuple[Any, ...]]:
    return query(
        child.pool.url,
        "SELECT target, row_number, column_name, sqlstate FROM celeriac.quarantine ORDER BY 1, 2",
    )


@pytest.mark.parametrize("policy", ["", UPDATE, IGNORE])
def test_percent_in_a_name(open_child: Open, policy: str) -> None:
    """A column whose name looks like a placeholder is written, and refused, like any other."""
    child = open_child(policy)

    result = ingest(child, {"id": 1, "odd %s %": "a"}, {"id": "x", "odd %s %": "b"})

    assert {"rows": 2, "inserted": 1, "quarantined": 1} == result
    assert [(1, "a")] == products(child, 'id, "odd %s %"')
    assert [("product", 2, "id", "22P02")] == reasons(child)


def test_update_writes_what_the_row_brings(open_child: Open) -> None:
    """A column that a row leaves out stays as it is; null is a value."""
    child = open_child(UPDATE)
    ingest(child, {"id": 1, "name": "a", "price": 5}, {"id": 2, "name": "b", "price": 6})

    result = ingest(child, {"id": 1, "price": 7}, {"id": 2, "name": None}, id_="k")

    assert {"rows": 2, "inserted": 0, "updated": 2, "quarantined": 0} == result
    assert [(1, "a", 7), (2, None, 6)] == products(child, "id, name, price")


def test_newest_wins(open_child: Open) -> None:
    """Time cannot be turned back, inside a batch and between batches; equal is not newer."""
    child = open_child(UPDATE + 'newest = "changed_at"')
    day = {n: f"2024-01-{n:02}" for n in range(1, 10)}

    one = ingest(
        child,
        {"id": 1, "name": "early", "changed_at": day[3]},
        {"id": 1, "name": "new", "changed_at": day[5]},
        {"id": 1, "name": "late", "changed_at": day[4]},
        {"id": 1, "name": "equal", "changed_at": day[5]},
    )
    other = ingest(
        child,
        {"id": 1, "name": "late", "changed_at": day[5]},
        {"id": 1, "name": "never", "changed_at": None},
        {"id": 1, "name": "needed"},
        id_="k",
    )

    assert {"rows": 4, "inserted": 1, "ignored": 2, "superseded": 1, "quarantined": 0} == one
    assert {"rows": 3, "inserted": 0, "ignored": 2, "quarantined": 1} == other
    assert [(1, "new")] == products(child)
    assert [("product", 3, "changed_at", "23502")] == reasons(child)


@pytest.mark.parametrize("policy", ["", UPDATE])
def test_unknown_members(open_child: Open, policy: str) -> None:
    """They put the row into quarantine, or are left out, or go into the column for them."""
    row = {"id": 1, "name": "a", "colour": "red", "size": {"w": 1.50}}

    rejected = ingest(open_child(policy), row, id_="1")
    ignored = ingest(open_child(f'{policy}unknown = "ignore"'), row, id_="2")
    kept = ingest(open_child(f'{policy}unknown = "rest"'), {**row, "id": 2, "rest": 5}, id_="3")
    child = open_child(f'{policy}unknown = "rest"')
    ingest(child, {"id": 3}, id_="4")

    assert [1, 0, 0] == [one["quarantined"] for one in (rejected, ignored, kept)]
    assert [("product", 1, "colour", "42703")] == reasons(child)
    extra = {"colour": "red", "size": {"w": 1.5}, "rest": 5}
    assert [(1, "a", None), (2, "a", extra), (3, None, None)] == products(child, "id, name, rest")


@pytest.mark.parametrize("policy", ["", UPDATE])
def test_columns_are_mapped(open_child: Open, policy: str) -> None:
    """A member is renamed, a default fills what is left out, a constant is always written."""
    child = open_child(
        policy,
        "[product.columns]\nid = { from = 'number' }\nname = { default = 'nameless' }\n"
        "price = { constant = 1.5 }\n",
    )

    result = ingest(
        child,
        {"number": 1},
        {"number": 2, "name": None},
        {"id": 3, "number": 3},
        {"number": 4, "price": 3},
        {"number": "x", "name": "kept as it came"},
    )

    assert {"rows": 5, "inserted": 2, "quarantined": 3} == result
    assert [(1, "nameless", 1.5), (2, None, 1.5)] == products(child, "id, name, price::float")
    found = query(child.pool.url, "SELECT row, column_name FROM celeriac.quarantine ORDER BY id")
    assert ({"number": "x", "name": "kept as it came"}, "id") in found


def test_default_is_for_new_rows(open_child: Open) -> None:
    """An update does not overwrite what is there with a default; a constant it does write."""
    child = open_child(
        UPDATE, "[product.columns]\nname = { default = 'new' }\nprice = { constant = 2 }\n"
    )
    ingest(child, {"id": 1, "name": "mine"})
    query(child.pool.url, "UPDATE product SET price = 9")

    result = ingest(child, {"id": 1}, {"id": 2}, id_="k")

    assert {"rows": 2, "inserted": 1, "updated": 1, "quarantined": 0} == result
    assert [(1, "mine", 2), (2, "new", 2)] == products(child, "id, name, price")


def test_zone_of_naive_values(open_child: Open) -> None:
    """A value without a zone means the target's: in a gap an hour on, in an overlap the later."""
    child = open_child('timezone = "Europe/Berlin"')
    values = [
        "2024-07-01 12:00",
        "2024-07-01T12:00:00Z",
        "2024-03-31 02:30",
        "2024-10-27 02:30",
        "infinity",
    ]

    result = ingest(child, *({"id": n, "changed_at": value} for n, value in enumerate(values)))
    after = ingest(child, {"id": 9, "changed_at": "2024-07-01 12:00 America/New_York"}, id_="k")

    assert [5, 1] == [result["inserted"], after["inserted"]]
    read = [text for (text,) in products(child, "changed_at AT TIME ZONE 'UTC' || ''")]
    assert [
        "2024-07-01 10:00:00",
        "2024-07-01 12:00:00",
        "2024-03-31 01:30:00",
        "2024-10-27 01:30:00",
        "infinity",
        "2024-07-01 16:00:00",
    ] == read


def test_zone_is_one_target_s_own(open_child: Open) -> None:
    """Rows for another target in the same transaction are read as UTC."""
    child = open_child('timezone = "Asia/Tokyo"', '[utc]\ntable = "product"\n' + IGNORE)
    row = {"changed_at": "2024-07-01 12:00"}

    settle(
        child, deliver("a", "product", [{"id": 1, **row}]), deliver("b", "utc", [{"id": 2, **row}])
    )

    hours = products(child, "extract(hour FROM changed_at AT TIME ZONE 'UTC')::int")
    assert [(3,), (12,)] == hours


@pytest.mark.parametrize("policy", ["", UPDATE])
def test_provenance(open_child: Open, policy: str) -> None:
    """A row tells which job brought it, in which transaction; it cannot say so itself."""
    child = open_child(policy + 'provenance = { job = "job", batch = "batch" }')

    settle(
        child,
        deliver('a"b', "product", [{"id": 1}]),
        deliver("c", "product", [{"id": 2}, {"id": 3, "job": "forged"}]),
    )

    assert [(1, 'a"b'), (2, "c")] == products(child, "id, job")
    assert [(0,)] == query(
        child.pool.url,
        "SELECT count(*) FROM product JOIN celeriac.job ON job.id = job"
        " WHERE product.batch IS DISTINCT FROM job.batch",
    )
    assert [("product", 2, "job", "42703")] == reasons(child)


def test_rejected_job_leaves_nothing(open_child: Open) -> None:
    """One bad row buries its job with the reason; neighbours commit, also one it collided with."""
    child = open_child('on_bad_row = "reject_job"')

    settled = settle(
        child,
        deliver("bad", "product", [{"id": 1, "name": "bad"}, {"id": 2, "price": -1}]),
        deliver("same key", "product", [{"id": 1, "name": "good"}]),
        deliver("good", "product", [{"id": 5}]),
    )

    assert {"bad": Fate.DEAD, "same key": Fate.COMMITTED, "good": Fate.COMMITTED} == {
        id_: one.fate for id_, one in settled.items()
    }
    assert [(1, "good"), (5, None)] == products(child)
    reason = settled["bad"].error or ""
    assert [] == [word for word in ("row 2", "product", "23514") if word not in reason]
    assert [] == reasons(child)


def test_rejected_for_meeting_a_rejected_job(open_child: Open) -> None:
    """Jobs with repeated keys are judged in turn: only what met a job that stays is rejected."""
    child = open_child('on_bad_row = "reject_job"')
    ingest(child, {"id": 9}, id_="before")

    settled = settle(
        child,
        deliver("a", "product", [{"id": 1, "name": "a"}, {"id": 9}]),
        deliver("b", "product", [{"id": 1, "name": "b"}]),
        deliver("c", "product", [{"id": 1, "name": "c"}]),
    )

    fates = [settled[id_].fate for id_ in "abc"]
    assert [Fate.DEAD, Fate.COMMITTED, Fate.DEAD] == fates
    assert [(1, "b"), (9, None)] == products(child)


@pytest.mark.parametrize("limit", ["1", "{ share = 0.4 }"])
def test_too_many_bad_rows_hold_the_target(open_child: Open, limit: str) -> None:
    """Above the limit nothing of the job is written, and the target is closed with the reason."""
    child = open_child(f"max_bad = {limit}", '[other]\ntable = "product"\n')
    bad = {"id": "x"}

    settled = settle(
        child,
        deliver("few", "product", [{"id": 1}, {"id": 2}, bad]),
        deliver("free", "other", [{"id": 7}, bad, bad]),
    )
    held = settle(
        child,
        deliver("many", "product", [{"id": 3}, bad, bad]),
        deliver("free too", "other", [{"id": 8}]),
    )

    assert {Fate.COMMITTED} == {one.fate for one in settled.values()}
    assert [Fate.HELD, Fate.COMMITTED] == [held["many"].fate, held["free too"].fate]
    assert [(1,), (2,), (7,), (8,)] == products(child, "id")
    ((target, reason),) = query(child.pool.url, "SELECT target, reason FROM celeriac.target_hold")
    assert "product" == target
    assert [] == [word for word in ("'many'", "2 bad rows of 3", "max_bad") if word not in reason]


def test_rows_that_are_bad_again_hold_no_target(open_child: Open) -> None:
    """A replay of many bad rows leaves its target open: they were counted when they first came."""
    child = open_child("max_bad = 1")
    settle(child, *(deliver(f"j{n}", "product", [{"id": "x"}, {"id": n}]) for n in range(3)))
    replay_all(child.pool)

    settled = relay_to(child, child.pool.url)

    assert [Fate.COMMITTED] == [one.fate for one in settled.values()]
    assert 3 == len(reasons(child)) // 2
    assert [] == query(child.pool.url, "SELECT target FROM celeriac.target_hold")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ('unknown = "rests"', ['"rests"', "unknown", "does not have"]),
        ('unknown = "name"', ["of type text", "jsonb"]),
        ("[product.columns]\nid2 = { from = 'id' }", ['"id2"', "columns"]),
        (UPDATE + 'newest = "at"', ['"at"', "newest"]),
        ('provenance = { batch = "b" }', ['"b"', "provenance.batch"]),
    ],
)
def test_declaration_that_the_table_does_not_fit(
    open_child: Open, entries: str, words: list[str]
) -> None:
    """A target whose table is not what it says is held, naming entry and column."""
    child = open_child(entries)

    settled = settle(child, deliver("j", "product", [{"id": 1}]))["j"]

    assert Fate.HELD == settled.fate
    assert [] == [word for word in words if word not in (settled.error or "")]


MORE = '[a_line]\ntable = "a_line"\n'


def test_several_targets_in_one_job(open_child: Open) -> None:
    """An order and its lines go in at once, parents first whatever their names, in one account."""
    child = open_child("", MORE)

    settled = settle(
        child,
        several("j", {"a_line": [{"line": 1, "z_order": 1}], "product": [{"id": 1}, {"id": 2}]}),
        several("k", {"product": [{"id": 3}], "a_line": []}),
    )

    assert {"rows": 3, "inserted": 3, "quarantined": 0} == settled["j"].result
    assert {"rows": 1, "inserted": 1, "quarantined": 0} == settled["k"].result
    found = query(child.pool.url, "SELECT subject, rows, batch FROM celeriac.job ORDER BY id")
    assert [("a_line,product", 3), ("a_line,product", 1)] == [one[:2] for one in found]
    assert 1 == len({batch for *_, batch in found})


def test_bad_rows_of_several_targets(open_child: Open) -> None:
    """Bad rows are set aside target by target, orphans of bad parents among them."""
    child = open_child("", MORE)

    settled = settle(
        child,
        several(
            "j",
            {
                "a_line": [{"line": 1, "z_order": 1}, {"line": 2, "z_order": 2}],
                "product": [{"id": 1}, {"id": 2, "price": -1}],
            },
        ),
    )

    assert {"rows": 4, "inserted": 2, "quarantined": 2} == settled["j"].result
    assert [("a_line", 2, None, "23503"), ("product", 2, None, "23514")] == reasons(child)


def test_job_for_several_targets_is_atomic(open_child: Open) -> None:
    """If one of its targets is closed, it is held by that name, and nothing is in the others."""
    child = open_child("", MORE + '[gone]\ntable = "gone"\n')

    job = several("j", {"gone": [{"id": 1}], "product": [{"id": 1}]})
    settled = settle(child, job, deliver("k", "product", [{"id": 2}]))
    again = settle(child, several("l", {"gone": [{"id": 1}], "product": [{"id": 4}]}))

    assert [Fate.HELD, Fate.COMMITTED] == [settled["j"].fate, settled["k"].fate]
    assert Fate.HELD == again["l"].fate
    assert [(2,)] == products(child, "id")
    assert [("gone",)] == query(child.pool.url, "SELECT target FROM celeriac.target_hold")


def test_rejected_job_for_several_targets(open_child: Open) -> None:
    """A bad row for a strict target takes the job's rows for the others with it."""
    child = open_child("", MORE + 'on_bad_row = "reject_job"\n')

    settled = settle(
        child,
        several("j", {"a_line": [{"line": "x", "z_order": 1}], "product": [{"id": 1}]}),
        several("k", {"a_line": [{"line": 2, "z_order": 1}], "product": [{"id": 2}]}),
        deliver("l", "product", [{"id": 3, "price": -1}, {"id": 4}]),
    )

    fates = [settled[id_].fate for id_ in "jkl"]
    assert [Fate.DEAD, Fate.DEAD, Fate.COMMITTED] == fates
    assert [(4,)] == products(child, "id")


def test_rejected_job_sets_nothing_aside_for_other_targets(open_child: Open) -> None:
    """Rejected when it was tried alone, it leaves no row in the quarantine: it may be redriven."""
    child = open_child("", MORE + 'on_bad_row = "reject_job"\n')
    settle(child, several("j", {"product": [{"id": 1}], "a_line": [{"line": 1, "z_order": 1}]}))

    rows = {"product": [{"id": 2}, {"id": 3, "odd": 1}], "a_line": [{"line": 1, "z_order": 1}]}
    settled = settle(child, several("k", rows))["k"]

    assert (Fate.DEAD, []) == (settled.fate, reasons(child))
    assert [(1,)] == products(child, "id")


def test_updates_in_opposite_order(open_child: Open) -> None:
    """Jobs that update the same keys, parents and children, in opposite order: none is held up."""
    more = MORE + 'key = ["line"]\non_conflict = "update"\n'
    children = [open_child(UPDATE, more), open_child(UPDATE, more)]
    barrier = threading.Barrier(len(children))
    numbers = range(40)
    rows = {
        "product": [{"id": n, "price": n} for n in numbers],
        "a_line": [{"line": n, "z_order": n} for n in numbers],
    }
    reverse = {name: some[::-1] for name, some in reversed(rows.items())}

    def run(child: Child, brought: dict[str, Any], id_: str) -> list[Any]:
        barrier.wait(60)
        return [settle(child, several(f"{id_}{n}", brought))[f"{id_}{n}"] for n in range(15)]

    with ThreadPoolExecutor(len(children)) as threads:
        ends = threads.map(run, children, [rows, reverse], "ab")
        settled = [one for end in ends for one in end]

    assert {Fate.COMMITTED} == {one.fate for one in settled}
    accounts = Counter[str]()
    for one in settled:
        accounts.update(one.result)
    expected = {"rows": 80 * 30, "inserted": 80, "updated": 80 * 29, "quarantined": 0}
    assert expected == accounts
    name = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert [(0,)] == query(children[0].pool.url, name)
