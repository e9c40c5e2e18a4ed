"""Say what PostgreSQL refused, in which phase, in terms that no driver owns."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg2

#: SQLSTATE of our own (class CE): the driver refused, the server never saw the statement.
UNSENT = "CE002"


class Phase(StrEnum):
    """The part of a job's transaction in which something happened."""

    CONNECT = "connect"
    CLAIM = "claim"
    ROWS = "rows"
    CONSTRAINTS = "constraints"
    RECORD = "record"
    COMMIT = "commit"
    READ = "read"


class PostgresError(Exception):
    """Base of every error that leaves this package."""


class PoolExhausted(PostgresError):
    """No connection became free within the deadline."""


class ForeignProcess(PostgresError):
    """A pool was used by another process than the one that opened it."""


class MigrationFailed(PostgresError):
    """A migration could not be applied; the database is as it was before it."""


class Refused(PostgresError):
    """PostgreSQL, or the way to it, refused a statement.

    ``sqlstate`` is None when the connection itself was lost, and
    :data:`UNSENT` when the driver would not even send the statement.
    """

    def __init__(  # noqa: PLR0913 - the fields of one diagnostic
        self,
        message: str,
        *,
        sqlstate: str | None,
        phase: Phase,
        table: str | None = None,
        column: str | None = None,
        constraint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.phase = phase
        self.table = table
        self.column = column
        self.constraint = constraint

    def __str__(self) -> str:
        return f"{self.message} (SQLSTATE {self.sqlstate or 'none'}, phase {self.phase})"


@contextmanager
def refusals(phase: Phase) -> Iterator[None]:
    """Turn every driver error raised inside into :class:`Refused`."""
    try:
        yield
    except psycopg2.Error as error:
        raise _refused(error, phase) from error


def _refused(error: psycopg2.Error, phase: Phase) -> Refused:
    diag = error.diag
    table = f"{diag.schema_name}.{diag.table_name}" if diag.table_name else None
    return Refused(
        diag.message_primary or str(error).strip() or type(error).__name__,
        sqlstate=_sqlstate(error, phase),
        phase=phase,
        table=table,
        column=diag.column_name,
        constraint=diag.constraint_name,
    )


def _sqlstate(error: psycopg2.Error, phase: Phase) -> str | None:
    if _is_lost(error):
        # Whatever the server said last: a trigger may say the same, and the connection lives on.
        return None
    if error.pgcode or phase is Phase.CONNECT or _may_be_lost(error):
        return error.pgcode
    # A statement that the driver cannot send is no outage: waiting would never end.
    return UNSENT


def _is_lost(error: psycopg2.Error) -> bool:
    return error.cursor is not None and bool(error.cursor.connection.closed)


def _may_be_lost(error: psycopg2.Error) -> bool:
    """Tell whether an error without a code may mean that the connection is gone."""
    if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
        return True
    # The bare base class, no subclass: the server's answer made no sense to the driver.
    return type(error) is psycopg2.DatabaseError
