"""Name the types of an answer's columns as PostgreSQL does."""

from collections.abc import Sequence

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.snapshot import Column
from postgres.statements import statement

#: Below this an OID means the same type on every server.
_FIRST_OF_USERS = 16_384
_NUMERIC = 1700

#: By OID and modifier, of the types that every server has.
_known: dict[tuple[int, int], str] = {}


def type_names(columns: Sequence[Column], cursor: Cursor) -> list[str]:
    """Return the name of each column's type: ``numeric(10,2)``, ``text[]``, ``public.mood``.

    Ask where the columns come from: types of users' own have other OIDs elsewhere.
    """
    asked = [(column.type_oid, _modifier(column)) for column in columns]
    named = dict(_known)
    missing = sorted(set(asked) - named.keys())
    if missing:
        oids, modifiers = zip(*missing, strict=True)
        with refusals(Phase.READ):
            parameters = {"oids": list(oids), "modifiers": list(modifiers)}
            cursor.execute(statement("name_types"), parameters)
            found = {(int(oid), int(mod)): str(name) for oid, mod, name in cursor.fetchall()}
        named |= found
        _known.update({key: name for key, name in found.items() if key[0] < _FIRST_OF_USERS})
    return [named[one] for one in asked]


def _modifier(column: Column) -> int:
    """Return what PostgreSQL keeps of ``(10,2)``; the driver tells it of numbers alone."""
    if column.type_oid != _NUMERIC or column.precision is None or column.precision > 1000:  # noqa: PLR2004
        return -1
    return ((column.precision << 16) | ((column.scale or 0) & 0x7FF)) + 4
