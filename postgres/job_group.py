"""Count the committed jobs of groups, in the transactions that commit them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.ledger import SERIALIZATION_FAILURE
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Jobs of one group that commit together; the rest is what all of its jobs say of it."""

    id: str
    members: int
    size: int
    task: str
    continuation: str
    digest: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a group stands, and what its first committed job said of it."""

    size: int
    done: int
    digest: str


def read_groups(ids: Iterable[str], cursor: Cursor) -> dict[str, Standing]:
    """Return how groups stand; those without a committed job are left out."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("read_groups"), {"ids": sorted(set(ids))})
        return {id_: Standing(*rest) for id_, *rest in cursor.fetchall()}


def count_members(counts: Sequence[GroupCount], cursor: Cursor) -> set[str]:
    """Count jobs that commit in this transaction; return the groups that are complete by them.

    Others' open counts in the same groups are waited for. Raises
    :class:`Refused`, as for a collision, if one of the groups turned out to
    be another or to be full: look again, in another transaction.
    """
    parameters: dict[str, Any] = {
        "ids": [one.id for one in counts],
        "sizes": [one.size for one in counts],
        "members": [one.members for one in counts],
        "tasks": [one.task for one in counts],
        "continuations": [one.continuation for one in counts],
        "digests": [one.digest for one in counts],
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("count_members"), parameters)
        counted = dict(cursor.fetchall())
    missing = sorted({one.id for one in counts} - counted.keys())
    if missing:
        raise Refused(
            f"group {missing[0]!r} changed while its jobs ran",
            sqlstate=SERIALIZATION_FAILURE,
            phase=Phase.RECORD,
        )
    return {id_ for id_, is_complete in counted.items() if is_complete}
