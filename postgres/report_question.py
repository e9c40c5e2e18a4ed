"""Keep equal questions from being answered twice at the same time, by whichever worker."""

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

#: First half of the advisory locks' keys; the second is a hash of the question.
_LOCK_SPACE = 0x63656C71


def lock_question(key: str, cursor: Cursor) -> bool:
    """Say that this session answers the question, as long as it lives; False if another does.

    Two questions with one hash wait for each other, which does no harm.
    """
    with refusals(Phase.CLAIM):
        cursor.execute(statement("lock_question"), {"space": _LOCK_SPACE, "key": key})
        ((is_ours,),) = cursor.fetchall()
    return bool(is_ours)
