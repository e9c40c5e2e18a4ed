"""The one place that commits, rolls back, and sets savepoints."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from postgres import Connection, Cursor
from postgres.errors import Phase, refusals


class Lender(Protocol):
    """Whatever lends connections: a :class:`postgres.pool.Pool`."""

    def connection(self, *, leaves_nothing: bool = False) -> AbstractContextManager[Connection]:
        """Lend a connection for as long as the context lasts."""


@contextmanager
def transaction(pool: Lender) -> Iterator[Cursor]:
    """Commit everything done inside, or nothing of it, on a lent connection.

    An error while committing is a :class:`Refused` of phase ``commit``. When
    its ``sqlstate`` is None nobody knows whether the server committed: run
    the same jobs again and let the ledger answer.
    """
    with pool.connection() as connection, transaction_on(connection) as cursor:
        yield cursor


@contextmanager
def transaction_on(connection: Connection) -> Iterator[Cursor]:
    """Commit everything done inside, or nothing of it, on this connection."""
    with connection.cursor() as cursor:
        try:
            yield cursor
        except BaseException:
            roll_back(connection)
            raise
    with refusals(Phase.COMMIT):
        connection.commit()


@contextmanager
def single_statement(pool: Lender) -> Iterator[Cursor]:
    """Lend a cursor whose next statement is a transaction of its own.

    The server commits it before it answers: one round trip instead of four.
    When the answer is lost nobody knows whether it did. The statement must
    leave nothing in the session, which is not reset.
    """
    with pool.connection(leaves_nothing=True) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


@contextmanager
def savepoint(cursor: Cursor, name: str, phase: Phase, *, release: bool = False) -> Iterator[None]:
    """Undo what was done inside, and only that, if it raises.

    A connection that died inside stays dead: the error passes as it came.
    COMMIT ends what is not released; release only where many follow each other.
    """
    with refusals(phase):
        cursor.execute(f"SAVEPOINT {name}")
    try:
        yield
    except BaseException:
        if not cursor.connection.closed:
            with refusals(phase):
                cursor.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
        raise
    if release:
        with refusals(phase):
            cursor.execute(f"RELEASE SAVEPOINT {name}")


@contextmanager
def trial(cursor: Cursor, name: str, phase: Phase) -> Iterator[None]:
    """Undo what was done inside in any case: it was only to see whether it works."""
    with refusals(phase):
        cursor.execute(f"SAVEPOINT {name}")
    try:
        yield
    finally:
        if not cursor.connection.closed:
            with refusals(phase):
                cursor.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")


def set_savepoint(cursor: Cursor, name: str, phase: Phase) -> None:
    """Mark where :func:`rewind` goes back to, each time."""
    with refusals(phase), cursor.connection.cursor() as plain:
        plain.execute(f"SAVEPOINT {name}")


def rewind(cursor: Cursor, name: str, phase: Phase) -> None:
    """Undo what was done since a savepoint, which stays; whatever became of the cursor.

    Also settings of the transaction, and cursors: what comes next finds nothing of it.
    """
    with refusals(phase), cursor.connection.cursor() as plain:
        plain.execute(rewinding(name))


def rewinding(name: str) -> str:
    """Return what :func:`rewind` sends, to go before another statement in one round trip."""
    return f"ROLLBACK TO SAVEPOINT {name};\n"


def check_deferred_constraints(cursor: Cursor) -> None:
    """Raise now what a deferred constraint would raise in the middle of COMMIT.

    Django's foreign keys are DEFERRABLE INITIALLY DEFERRED: unchecked, one
    orphan would refuse the whole batch again and again.
    """
    with refusals(Phase.CONSTRAINTS):
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def roll_back(connection: Connection) -> None:
    """Undo the open transaction; a dead connection needs no undoing."""
    if not connection.closed:
        with refusals(Phase.COMMIT):
            connection.rollback()
