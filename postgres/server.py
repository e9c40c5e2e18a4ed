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
    #: How many of them others than this deployment's workers have just now.
    others: int


@dataclass(frozen=True, slots=True)
class OutboxFacts:
    """The jobs of the outbox, and the relays that push them."""

    #: Due, and claimed by no relay.
    due: int
    #: How long the first of them waits; 0 or less without any.
    oldest_seconds: float
    #: All of them: those of a time to come, and those that are on their way, too.
    jobs: int
    relays: int


def look_at_server(cursor: Cursor) -> ServerFacts:
    """Return what there is to know of the server."""
    return ServerFacts(*_row(cursor, "look_at_server"))


def look_at_outbox(cursor: Cursor) -> OutboxFacts:
    """Return what the outbox holds, and how many relays gave a sign of life lately."""
    return OutboxFacts(*_row(cursor, "look_at_outbox"))


def tasks_in_outbox(cursor: Cursor) -> frozenset[str]:
    """Return the tasks whose jobs the outbox has."""
    with refusals(Phase.READ):
        cursor.execute(statement("name_outbox_tasks"), {})
        return frozenset(task for (task,) in cursor)


def _row(cursor: Cursor, name: str) -> tuple[Any, ...]:
    with refusals(Phase.READ):
        cursor.execute(statement(name), {})
        return cursor.fetchone() or ()
