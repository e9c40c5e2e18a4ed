"""Errors of a real driver: an outage, a guilty statement, and which of the two it was."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from celeriac.contract import State
from postgres import Cursor
from postgres.errors import UNSENT, Phase, Refused, refusals
from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from postgres.transaction import transaction
from tasks.kind import Counts, Job, Kind, Limits, Outcome
from tests.integration.batches import settle_each
from worker.child import Child, Plan, open_child
from worker.delivery import Delivery, Fate, Settlement


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


class Nothing(msgspec.Struct):
    """A payload without fields."""


class Bare(Kind[Nothing]):
    """A user's kind that does something with its cursor, no care taken."""

    name = "shop.bare"
    queue = "shop.bare"
    payload = Nothing
    limits = Limits(jobs=10, rows=10, body_bytes=1000, seconds=10)

    def __init__(self, work: Callable[[Cursor], Any], counts: Counts) -> None:
        self.work = work
        self.counts = counts

    def subject(self, payload: Nothing) -> str:
        """There is none."""
        return ""

    def run(self, jobs: Sequence[Job[Nothing]], cursor: Cursor) -> list[Outcome]:
        """Do the work once."""
        result = self.work(cursor)
        return [Outcome(job.id, State.COMMITTED, self.counts, result) for job in jobs]


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    """Open a pool of one connection."""
    pool = Pool(database, PoolLimits(size=1))
    yield pool
    pool.close()


@pytest.fixture
def run(database: str, tmp_path: Path) -> Iterator[Callable[..., list[Settlement]]]:
    """Run jobs of a kind that does this work; return how they were settled."""
    children: list[Child] = []

    def run_jobs(
        work: Callable[[Cursor], Any], counts: Counts | None = None, jobs: int = 1
    ) -> list[Settlement]:
        kind = Bare(work, counts or Counts())
        plan = Plan(
            worker="test",
            database_url=database,
            report_database_url=database,
            limits=PoolLimits(size=1),
            session=Session(),
            catalog=tmp_path,
            artifacts=str(tmp_path),
            inbox=None,
            report_seconds=10.0,
        )
        children.append(open_child(plan, {kind.name: kind}))
        deliveries = [Delivery(f"job-{n}", kind.name, b"[[], {}, null]") for n in range(jobs)]
        return settle_each(children[-1], *deliveries)

    yield run_jobs
    for child in children:
        child.close()


def end_own_backend(cursor: Cursor) -> None:
    """Lose the connection in the middle of a statement."""
    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_lost_connection_has_no_code(pool: Pool) -> None:
    """What the driver says of a connection that died is never taken for a job's fault."""
    with pytest.raises(Refused) as caught, transaction(pool) as cursor, refusals(Phase.ROWS):
        end_own_backend(cursor)
    with pool.connection() as connection, connection.cursor() as cursor:
        connection.close()
        with pytest.raises(Refused) as closed, refusals(Phase.RECORD):
            cursor.execute("SELECT 1")

    assert (None, None) == (caught.value.sqlstate, closed.value.sqlstate)


@pytest.mark.parametrize("query", ["", " ; ", "-- nothing"])
def test_statement_that_is_never_sent_has_a_code(pool: Pool, query: str) -> None:
    """An empty query is refused by the driver itself, and is no outage."""
    with pytest.raises(Refused) as caught, transaction(pool) as cursor, refusals(Phase.READ):
        cursor.execute(query)

    assert UNSENT == caught.value.sqlstate


def test_value_without_a_form_has_a_code(pool: Pool) -> None:
    """So is a value that the driver cannot write."""
    with pytest.raises(Refused) as caught, transaction(pool) as cursor, refusals(Phase.ROWS):
        cursor.execute("SELECT %s", (object(),))

    assert (UNSENT, True) == (caught.value.sqlstate, "can't adapt" in caught.value.message)


def test_kind_that_loses_its_connection_waits(run: Callable[..., list[Settlement]]) -> None:
    """A connection lost inside a kind is nobody's fault: the job is neither dead nor done."""
    settlements = run(end_own_backend)

    assert [Fate.WAIT] == [one.fate for one in settlements]


@pytest.mark.parametrize(
    "work",
    [
        lambda cursor: cursor.execute(""),
        lambda cursor: cursor.execute("SELECT 1/0"),
        lambda cursor: cursor.execute("SELECT 'no such column' FROM nowhere"),
        lambda cursor: {"text": "a\0b"},
    ],
    ids=["nothing to send", "bad data", "bad query", "a result that cannot be stored"],
)
def test_guilty_kind_buries_its_job(
    run: Callable[..., list[Settlement]], work: Callable[[Cursor], Any]
) -> None:
    """A job that can never succeed is buried at once, alone or in a batch."""
    settlements = run(work, jobs=2)

    assert [Fate.DEAD, Fate.DEAD] == [one.fate for one in settlements]


def test_kind_whose_counts_do_not_add_up_is_buried(run: Callable[..., list[Settlement]]) -> None:
    """The ledger's own rule refuses the account; that is the kind's fault, no outage."""
    (settlement,) = run(lambda _: None, counts=Counts(inserted=3))

    assert Fate.DEAD is settlement.fate
    assert "job_accounts" in (settlement.error or "")
