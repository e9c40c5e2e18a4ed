"""A user's kind offers the short way; what does not go through falls back on its ``run``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec
import pytest

from celeriac.contract import State
from postgres import Cursor
from postgres.whole import Write
from tasks.kind import Counts, Job, Kind, Limits, Look, Outcome, WholeWrites
from tests.integration.batches import body_of, child_on, settle_each
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement
from worker.unpack import PlainReader

INSERT = "INSERT INTO shop.alpha (n, note) SELECT unnest(%(ns)s::int[]), '{%%}' RETURNING 1"


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


class Number(msgspec.Struct):
    """What a job brings."""

    n: int


class Numbers(Kind[Number]):
    """Write a number; the short way as a test wants it."""

    name = queue = "shop.numbers"
    payload = Number
    limits = Limits(jobs=50, rows=50, body_bytes=1_000_000, seconds=30)

    def __init__(self, plan: Callable[[list[int], Look], WholeWrites | None]) -> None:
        self.plan = plan
        self.ran: list[int] = []

    def subject(self, payload: Number) -> str:
        """There is one."""
        return "numbers"

    def rows(self, payload: Number) -> int:
        """Return one, always."""
        return 1

    def write_whole(self, payloads: Sequence[Number], look: Look) -> WholeWrites | None:
        """Ask the test."""
        return self.plan([payload.n for payload in payloads], look)

    def run(self, jobs: Sequence[Job[Number]], cursor: Cursor) -> list[Outcome]:
        """Write what the short way would not."""
        self.ran += [job.payload.n for job in jobs]
        for job in jobs:
            cursor.execute("INSERT INTO shop.alpha (n, note) VALUES (%s, 'run')", (job.payload.n,))
        return [Outcome(job.id, State.COMMITTED, Counts(inserted=1)) for job in jobs]


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child on the shop's tables."""
    create_tables(database)
    with child_on(database) as child:
        yield child


def run_three(kind: Numbers, child: Child) -> list[Settlement]:
    """Settle three jobs of this kind, with the numbers 0, 1 and 2."""
    serving = replace(child, kinds={kind.name: kind}, readers={kind.name: PlainReader(kind)})
    return settle_each(
        serving, *(Delivery(f"j{n}", kind.name, body_of({"n": n})) for n in range(3))
    )


def insert_all(ns: list[int], look: Look) -> WholeWrites:
    return WholeWrites([Write(INSERT, {"ns": ns}, len(ns))])


def insert_too_few(ns: list[int], look: Look) -> WholeWrites:
    return WholeWrites([Write(INSERT, {"ns": ns[1:]}, len(ns))])


def insert_nonsense(ns: list[int], look: Look) -> WholeWrites:
    return WholeWrites([Write("INSERT INTO nowhere VALUES (1) RETURNING 1", {}, 1)])


def raise_at_once(ns: list[int], look: Look) -> WholeWrites:
    raise KeyError(ns[0])


def refuse_to_plan(ns: list[int], look: Look) -> None:
    return None


def leave_one_out(ns: list[int], look: Look) -> WholeWrites:
    with look() as cursor:
        cursor.execute("SELECT 1")
    return WholeWrites([Write(INSERT, {"ns": [n for n in ns if n != 1]}, len(ns) - 1)], [1])


@pytest.mark.parametrize(
    ("plan", "ran", "transactions"),
    [
        (insert_all, [], 1),
        (insert_too_few, [0, 1, 2], 1),
        (insert_nonsense, [0, 1, 2], 1),
        (raise_at_once, [0, 1, 2], 1),
        (refuse_to_plan, [0, 1, 2], 1),
        (leave_one_out, [1], 2),
    ],
)
def test_short_way_of_a_users_kind(
    child: Child,
    plan: Callable[[list[int], Look], WholeWrites | None],
    ran: list[int],
    transactions: int,
) -> None:
    """Whatever the kind plans, each number is there once, and ``run`` got what was left."""
    kind = Numbers(plan)

    settlements = run_three(kind, child)

    assert [Fate.COMMITTED] * 3 == [one.fate for one in settlements]
    assert [{"rows": 1, "inserted": 1, "quarantined": 0}] * 3 == [one.result for one in settlements]
    assert ran == kind.ran
    expected = [(n, "run" if n in ran else "{%}") for n in range(3)]
    assert expected == query(child.pool.url, "SELECT n, note FROM shop.alpha ORDER BY n")
    ledger = "SELECT count(DISTINCT batch), sum(inserted), count(*) FROM celeriac.job"
    assert [(transactions, 3, 3)] == query(child.pool.url, ledger)


def test_kind_without_it_has_no_reader(child: Child) -> None:
    """Only kinds with a ``write_whole`` of their own are asked; reports are not."""
    assert {"celeriac.ingest"} == set(child.readers)
