"""Put jobs into the outbox, in the transaction of whatever makes them due; take them out again.

What is committed here reaches the queue, however often Redis forgets it, until
the transaction that commits the job takes it out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class Entry:
    """A job on its way to the queue; without ``run_at``, it is due at once.

    ``body`` is Celery's as JSON text: ``[args, kwargs, embed]``. ``options``
    are those of ``celeriac.enqueue``, or ``headers`` and ``properties`` of the
    message that the job came as.
    """

    id: str
    task: str
    body: str
    run_at: datetime | None = None
    options: Mapping[str, Any] | None = None


def enqueue(entries: Sequence[Entry], cursor: Cursor) -> None:
    """Put jobs into the outbox; an id that is there already stays as it is."""
    if not entries:
        return
    parameters: dict[str, Any] = {
        "ids": [one.id for one in entries],
        "tasks": [one.task for one in entries],
        "bodies": [one.body for one in entries],
        "run_ats": [one.run_at for one in entries],
        "options": [None if one.options is None else Json(one.options) for one in entries],
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("enqueue_jobs"), parameters)


def read_others(entries: Sequence[Entry], cursor: Cursor) -> dict[tuple[str, str], str]:
    """Return, by id and body, the body with which the outbox has an id, where that is another text.

    Call it after :func:`enqueue`, in the same transaction.
    """
    if not entries:
        return {}
    parameters = {"ids": [one.id for one in entries], "bodies": [one.body for one in entries]}
    with refusals(Phase.RECORD):
        cursor.execute(statement("read_other_entries"), parameters)
        return {(id_, body): kept for id_, body, kept in cursor.fetchall()}


def remove_kept(jobs: Iterable[tuple[str, str]], cursor: Cursor) -> None:
    """Take out, by id and body, what was put in lest it be lost; others of the ids stay."""
    kept = list(jobs)
    if kept:
        parameters = {"ids": [id_ for id_, _ in kept], "bodies": [body for _, body in kept]}
        with refusals(Phase.RECORD):
            cursor.execute(statement("remove_kept_jobs"), parameters)


def remove(ids: Sequence[str], cursor: Cursor) -> None:
    """Take jobs out that the ledger now knows the end of; ids that are not there are no matter."""
    if ids:
        with refusals(Phase.RECORD):
            cursor.execute(statement("remove_jobs"), {"ids": list(ids)})
