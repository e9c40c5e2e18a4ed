"""Rows and jobs that are set aside on purpose, and a hand-made relay that brings them back."""

from collections.abc import Sequence
from typing import Any

from postgres.quarantined import Selection, read_all
from postgres.transaction import Lender, transaction
from tests.integration.batches import deliver, settle
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Delivery, Settlement
from worker.replay import Replayed, ReplayRow, replay

GOOD = {"id": 1, "name": "ink", "price": 2}
BAD_PRICE = {"id": 2, "name": "pen", "price": -1}
BAD_TYPE = {"id": 3, "name": "nib", "price": "dear"}


def set_aside(child: Child, job_id: str = "came", rows: Sequence[Any] = ()) -> None:
    """Run a job of one good row and two bad ones, or of other rows."""
    settle(child, deliver(job_id, "item", rows or [GOOD, BAD_PRICE, BAD_TYPE]))


def replay_all(pool: Lender, **edits: str) -> Replayed:
    """Replay what waits, in the order of the entries; a row may be edited, by ``e<id>``."""
    with transaction(pool) as cursor:
        entries = list(read_all(Selection(states=["quarantined"]), cursor))
    rows = [
        ReplayRow(one.id, one.target, edits.get(f"e{one.id}", one.row or "")) for one in entries
    ]
    return replay(rows, pool)


def in_the_outbox(database: str) -> list[Delivery]:
    """Return what a relay would push, as a child gets it, without taking it out."""
    found = query(database, "SELECT id, task, body FROM celeriac.outbox ORDER BY number")
    return [Delivery(id_, task, body.encode()) for id_, task, body in found]


def relay_to(child: Child, database: str) -> dict[str, Settlement]:
    """Deliver everything that the outbox holds; settlements by id."""
    return settle(child, *in_the_outbox(database))


def entries(database: str) -> list[tuple[Any, ...]]:
    """Return number, state, job, row number and predecessor of each entry."""
    text = "SELECT id, state, job_id, row_number, replay_of FROM celeriac.quarantine ORDER BY id"
    return query(database, text)


def states(database: str) -> list[str]:
    """Return the state of each entry, in the order in which they were made."""
    return [state for (_, state, *_) in entries(database)]


def items(database: str) -> list[tuple[Any, ...]]:
    """Return the rows of the target."""
    return query(database, "SELECT id, name, price FROM shop.item ORDER BY id")


def job_state(database: str, job_id: str) -> str:
    """Return what the ledger says of a job."""
    ((state,),) = query(database, "SELECT state FROM celeriac.job WHERE id = %s", (job_id,))
    return str(state)
