"""Look at file jobs from outside: which there were of a file, and how far some are."""

from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.contract import ACCOUNTS, State
from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.progress import Place
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class FileJob:
    """A job that the ledger knows of a file, and the rows that it accounts for."""

    id: str
    state: State
    rows: int


@dataclass(frozen=True, slots=True)
class Watched:
    """How a job stands that somebody watches."""

    id: str
    state: State
    error: str | None
    place: Place


def find_file_jobs(prefix: str, cursor: Cursor) -> list[FileJob]:
    """Return the jobs whose ids begin so, in the order of their ids."""
    with refusals(Phase.READ):
        cursor.execute(statement("find_file_jobs"), {"prefix": prefix})
        return [FileJob(id_, State(state), rows) for id_, state, rows in cursor.fetchall()]


def watch_jobs(ids: Sequence[str], cursor: Cursor) -> list[Watched]:
    """Return how those of the jobs stand that the ledger knows."""
    with refusals(Phase.READ):
        cursor.execute(statement("watch_jobs"), {"ids": list(ids)})
        return [_watched(*row) for row in cursor.fetchall()]


def _watched(id_: str, state: str, error: str | None, *numbers: int) -> Watched:
    *accounts, done_bytes, total_bytes = numbers
    place = Place(0, None, dict(zip(ACCOUNTS, accounts, strict=True)), done_bytes, total_bytes)
    return Watched(id_, State(state), error, place)
