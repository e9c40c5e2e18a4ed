"""Ask the server that reports are read from what has arrived there: it may be a replica."""

from collections.abc import Collection, Mapping

from celeriac.contract import State
from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


def job_states(ids: Collection[str], cursor: Cursor) -> Mapping[str, State]:
    """Return how jobs stand in the ledger as this server has it; unknown ones are left out."""
    if not ids:
        return {}
    with refusals(Phase.READ):
        cursor.execute(statement("read_job_states"), {"ids": list(ids)})
        return {id_: State(state) for id_, state in cursor.fetchall()}


def reached(positions: Collection[str], cursor: Cursor) -> set[str]:
    """Return the positions of the primary's log that this server has reached.

    What was committed before is seen by every snapshot that is taken from now on.
    """
    if not positions:
        return set()
    with refusals(Phase.READ):
        cursor.execute(statement("compare_positions"), {"positions": list(positions)})
        return {position for (position,) in cursor.fetchall()}
