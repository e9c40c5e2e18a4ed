"""Count what was set aside: rows in quarantine, buried and held jobs, by target and reason."""

from dataclasses import dataclass

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

#: Longer reasons are cut; more groups of a kind than this are no overview.
_MOST_CHARACTERS = 100
_MOST_GROUPS = 100


@dataclass(frozen=True, slots=True)
class SetAside:
    """So many rows (``quarantined``) or jobs (``dead``, ``held``) of one subject and reason."""

    what: str
    subject: str
    reason: str
    count: int


def count_set_aside(cursor: Cursor) -> list[SetAside]:
    """Return the groups; a row's reason is its SQLSTATE, a job's its words without the values."""
    limits = {"most_characters": _MOST_CHARACTERS, "most_groups": _MOST_GROUPS}
    with refusals(Phase.READ):
        cursor.execute(statement("count_set_aside"), limits)
        return [SetAside(*row) for row in cursor.fetchall()]
