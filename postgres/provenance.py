"""Set and tell what rows may depend on besides their values: a time zone, the transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.statements import statement

#: What every session of ours runs under.
_USUAL_ZONE = "UTC"
_UNDEFINED_OBJECT = "42704"


@contextmanager
def time_zone(zone: str | None, cursor: Cursor) -> Iterator[None]:
    """Let values that name no zone mean this one; None is UTC.

    When it raises, the zone stays until the savepoint around it is left.
    Raises :class:`Refused` (42704) if the server does not know the zone.
    """
    if zone is None:
        yield
        return
    try:
        _set(zone, cursor)
    except Refused as refused:
        raise Refused(refused.message, sqlstate=_UNDEFINED_OBJECT, phase=Phase.ROWS) from refused
    yield
    _set(_USUAL_ZONE, cursor)


def transaction_number(cursor: Cursor) -> str:
    """Return the number of the open transaction, which the ledger calls the batch."""
    with refusals(Phase.ROWS):
        cursor.execute(statement("read_transaction_number"))
        ((number,),) = cursor.fetchall()
        return str(number)


def _set(zone: str, cursor: Cursor) -> None:
    with refusals(Phase.ROWS):
        cursor.execute(statement("set_time_zone"), {"zone": zone})
