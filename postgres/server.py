"""Look at a server as an operator would: its version, its promises, its room for connections."""

from dataclasses import dataclass
from typing import Any

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server is, and what it promises."""

    #: As PostgreSQL counts: 180001 is 18.1.
    version_number: int
    version: str
    fsync: bool
    synchronous_commit: bool
    is_replica: bool
    is_read_only: bool
    #: How many clients it takes, those reserved for superusers left out.
    connections: int
    #: How many of them others than we have just now.
    others: int


@dataclass(frozen=True, slots=True)
class DueJobs:
    """The jobs of the outbox that should be in their queues, and how long the first one waits."""

    jobs: int
    oldest_seconds: float


def look_at_server(cursor: Cursor) -> ServerFacts:
    """Return what there is to know of the server."""
    return ServerFacts(*_row(cursor, "look_at_server"))


def look_at_outbox(cursor: Cursor) -> DueJobs:
    """Return what is due and was claimed by no relay."""
    return DueJobs(*_row(cursor, "look_at_outbox"))


def _row(cursor: Cursor, name: str) -> tuple[Any, ...]:
    with refusals(Phase.READ):
        cursor.execute(statement(name), {})
        return cursor.fetchone() or ()
