"""Run batches without Celery: what a child does with deliveries, in the test's own process."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from postgres.pool import PoolLimits
from postgres.session import Session
from tests.integration.shop import CATALOG
from worker.attempt import attempt
from worker.child import Child, Plan, open_child
from worker.delivery import Delivery, Settlement
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
) -> Iterator[Child]:
    """Open what a child process works with, on this database."""
    plan = Plan(
        worker="in-process",
        database_url=database,
        report_database_url=database,
        limits=PoolLimits(2),
        session=session or Session(lock_seconds=1, statement_seconds=5),
        catalog=catalog,
        artifacts=str(artifacts),
        inbox=None,
        report_seconds=10,
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


def settle(child: Child, *deliveries: Delivery) -> dict[str, Settlement]:
    """Run the deliveries as one batch; settlements by id."""
    answer = attempt(deliveries, child)
    return {one.id: one for one in answer.settlements}
