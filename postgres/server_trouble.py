"""Ask a server of which somebody said that it is in trouble."""

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.statements import statement
from postgres.transaction import trial

#: SQLSTATE of a role that may not create temporary tables: then nothing is known of the disk.
_INSUFFICIENT_PRIVILEGE = "42501"


def is_well(cursor: Cursor) -> bool:
    """Tell whether the server answers on this connection and takes something new. Leaves nothing.

    It has to give new pages to a table of ours, which a replica, a server that
    is read-only, stops or has no room cannot do. A row that is undone would not
    tell: it goes where there is room already. What is on another disk than the
    database's own may be full all the same.
    """
    try:
        with trial(cursor, "server", Phase.CLAIM), refusals(Phase.CLAIM):
            cursor.execute(statement("use_default_tablespace"))
            cursor.execute(statement("extend_table"))
    except Refused as refused:
        return refused.sqlstate == _INSUFFICIENT_PRIVILEGE
    return True
