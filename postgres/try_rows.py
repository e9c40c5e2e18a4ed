"""Ask of each row alone whether the insert takes it, many in one round trip."""

from collections.abc import Iterator, Mapping, Sequence

from psycopg2 import sql
from psycopg2.extensions import AsIs

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.insert_rows import CHANGED, KEPT_OUT, Destination, OnConflict, insert_query
from postgres.lone_surrogates import unmask
from postgres.statements import statement
from postgres.whole import text_array

#: SQLSTATE by which ``celeriac.try_rows`` undoes what was accepted.
_ACCEPTED = "CE003"
#: Rows in one statement, so that it ends long before its time does.
_AT_ONCE_ROWS = 500


def try_rows(
    destination: Destination, rows: Sequence[str], cursor: Cursor
) -> Mapping[int, Refused]:
    """Insert each row alone and undo it; return what was refused, by place.

    The words are PostgreSQL's, for this row and no other.
    """
    # The first row sees whether the table still is what it was; to ask for each costs the most.
    refused = dict(_try(insert_query(destination), destination, rows[:1], 0, cursor))
    unasked = insert_query(destination, looks=False)
    for start in range(1, len(rows), _AT_ONCE_ROWS):
        part = rows[start : start + _AT_ONCE_ROWS]
        refused.update(_try(unasked, destination, part, start, cursor))
    return refused


def _try(
    query: sql.Composed, destination: Destination, rows: Sequence[str], start: int, cursor: Cursor
) -> Iterator[tuple[int, Refused]]:
    text = str(cursor.mogrify(query, {"rows": AsIs("$1")}), "utf-8")
    with refusals(Phase.ROWS):
        parameters = {"statement": text, "rows": text_array(map(unmask, rows))}
        cursor.execute(statement("try_rows"), parameters)
        answers = cursor.fetchall()
    for place, *answer in answers:
        refusal = _refusal(destination.on_conflict, *answer)
        if refusal is not None:
            yield start + place - 1, refusal


def _refusal(
    on_conflict: OnConflict, written: int | None, code: str, message: str, *names: str | None
) -> Refused | None:
    table, column = names
    if code == KEPT_OUT:
        # Nobody but our own statement raises it, on a table that is not what it was.
        return Refused(message, sqlstate=CHANGED, phase=Phase.ROWS)
    if code != _ACCEPTED:
        return Refused(message, sqlstate=code, phase=Phase.ROWS, table=table, column=column)
    if written or on_conflict is not OnConflict.ERROR:
        return None
    message = "a trigger or rule kept the row out without an error"
    return Refused(message, sqlstate=KEPT_OUT, phase=Phase.ROWS)
