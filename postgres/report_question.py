"""Keep equal questions from being answered twice at the same time, by whichever worker."""

from datetime import datetime
from typing import cast

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

#: First half of the advisory locks' keys; the second is a hash of the question.
_LOCK_SPACE = 0x63656C71


def lock_question(key: str, cursor: Cursor) -> datetime | None:
    """Say that this session answers the question, as long as it lives; None if another does.

    Returns the time by the clock of the ledger: the answer will be no older.
    Two questions with one hash wait for each other, which does no harm.
    """
    with refusals(Phase.CLAIM):
        cursor.execute(statement("lock_question"), {"space": _LOCK_SPACE, "key": key})
        ((began_at,),) = cursor.fetchall()
    return cast("datetime | None", began_at)
