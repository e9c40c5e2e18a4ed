"""Run batches without Celery: what a child does with a parcel, in the test's own process."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from postgres.pool import PoolLimits
from postgres.session import Session
from postgres.snapshot_cursor import Terms
from tests.integration.shop import CATALOG
from worker.attempt import attempt
from worker.child import Child, Plan, open_child
from worker.delivery import Answer, Delivery, Fate, Parcel, Remarks, Settlement, whole_result
from worker.kinds import load_kinds

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
INGEST = "celeriac.ingest"


@contextmanager
def child_on(
    database: str,
    artifacts: Path | str = "/nonexistent",
    *,
    session: Session | None = None,
    catalog: Path = CATALOG,
    kinds: Sequence[str] = (),
    batch_rows: int = 20_000,
    inbox: Path | None = None,
    file_prefixes: Sequence[str] = (),
    company_seconds: float = 0.25,
    report_seconds: float = 10,
    report_terms: Terms | None = None,
    report_database: str | None = None,
) -> Iterator[Child]:
    """Open what a child process works with, on this database."""
    plan = Plan(
        worker="in-process",
        database_url=database,
        report_database_url=report_database or database,
        limits=PoolLimits(2),
        session=session or Session(lock_seconds=1, statement_seconds=5),
        catalog=catalog,
        artifacts=str(artifacts),
        inbox=inbox,
        report_seconds=report_seconds,
        company_seconds=company_seconds,
        report_terms=report_terms or Terms(),
        batch_rows=batch_rows,
        file_prefixes=file_prefixes,
    )
    child = open_child(plan, load_kinds(kinds))
    try:
        yield child
    finally:
        child.close()


def deliver(id_: str, target: str, rows: Sequence[Any], **more: Any) -> Delivery:
    """Make the delivery of one ingest job."""
    return Delivery(id_, INGEST, body_of({"target": target, "rows": list(rows)}), **more)


def body_of(kwargs: object, args: Sequence[Any] = (), **embed: Any) -> bytes:
    """Write the body that a producer with plain JSON would send."""
    return json.dumps([list(args), kwargs, EMBED | embed]).encode()


def parcel_of(deliveries: Sequence[Delivery]) -> Parcel:
    """Pack deliveries of one task as the main process would."""
    remarks = {
        position: Remarks(
            *(one.attempts, one.may_wait, one.cancelled, one.buried),
            *(one.takes_long, one.waited_seconds),
            aside_seconds=max(one.aside_seconds, one.waited_seconds),
            has_room=one.has_room,
        )
        for position, one in enumerate(deliveries)
    }
    ordinary = Remarks()
    return Parcel(
        task=deliveries[0].task,
        ids=[one.id for one in deliveries],
        bodies=[one.body for one in deliveries],
        remarks={place: one for place, one in remarks.items() if one != ordinary},
    )


def careful(child: Child) -> Child:
    """Return the child as one that knows only the careful way."""
    return replace(child, readers={})


def settle_each(child: Child, *deliveries: Delivery) -> list[Settlement]:
    """Run the deliveries as one batch; their settlements in order."""
    parcel = parcel_of(deliveries)
    answer = attempt(parcel, child)
    return [settlement_of(answer, parcel, position) for position in range(len(parcel.ids))]


def settle(child: Child, *deliveries: Delivery) -> dict[str, Settlement]:
    """Run the deliveries as one batch; settlements by id."""
    return {one.id: one for one in settle_each(child, *deliveries)}


def settlement_of(answer: Answer, parcel: Parcel, position: int) -> Settlement:
    """Return how a job ended, also of those that an answer only counts."""
    if position in answer.settlements:
        return answer.settlements[position]
    result = whole_result(answer.rows[position])
    return Settlement(parcel.ids[position], Fate.COMMITTED, result)
