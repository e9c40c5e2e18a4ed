"""Say what the rows of plain jobs write: one insert for each target and set of columns."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from postgres.insert_rows import Destination, OnConflict, whole_insert
from postgres.statements import Composition
from postgres.table import Table
from postgres.whole import Write
from tasks.insert import columns_to_write, table_of
from tasks.kind import Look, WholeWrites
from tasks.rows import HasRows
from tasks.targets import Target

#: Inserts a target in one statement: PostgreSQL plans all of them before it begins.
MAX_SHAPES = 8

#: Shapes of one table's rows that are remembered with their inserts.
_KEPT_SHAPES = 64

#: Characters that msgspec refuses in the names of members.
_UNSPELLABLE = re.compile(r'["\\\x00-\x1f]')


class HasTargetAndRows(HasRows, Protocol):
    """A payload that carries rows for one target."""

    target: str


class _Reader:
    """Reads just enough of a table's rows to know which columns they write."""

    def __init__(self, target: Target, table: Table) -> None:
        self.table = table
        self._target = target
        self._fields = _fields(table)
        self._decode = _decoder(table, self._fields)
        #: Fields of the columns that fill themselves: which of them a row brings decides its shape.
        self._optional = [
            field for field, name in self._fields.items() if table.columns[name].has_default
        ]
        self._shapes: dict[tuple[bool, ...], tuple[str, ...]] = {}
        self._inserts: dict[tuple[str, ...], Composition] = {}

    def columns(self, row: msgspec.Raw) -> tuple[str, ...]:
        """Return the columns that a row writes. Raises DecodeError if it does not fit."""
        read = self._decode(row)
        brought = tuple([getattr(read, field) is not UNSET for field in self._optional])
        if brought not in self._shapes:
            self._shapes[brought] = self._shape(brought)
        return self._shapes[brought]

    def write(self, columns: tuple[str, ...], rows: Sequence[msgspec.Raw]) -> Write:
        """Return the insert of rows that write these columns."""
        if columns not in self._inserts:
            target = self._target
            destination = Destination(self.table, columns, target.key, target.on_conflict)
            self._inserts[columns] = whole_insert(destination)
        text = b",".join(rows).decode("utf-8")
        return Write(self._inserts[columns], {"rows": f"[{text}]"}, len(rows))

    def _shape(self, brought: tuple[bool, ...]) -> tuple[str, ...]:
        if len(self._shapes) >= _KEPT_SHAPES:
            self._shapes.clear()
            self._inserts.clear()
        names = [self._fields[field] for field in compress(self._optional, brought)]
        return columns_to_write(self._target, self.table, frozenset(names))


class _Inserts:
    """The rows for one target, by the columns that they write."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._rows: dict[tuple[str, ...], list[msgspec.Raw]] = {}

    def add(self, rows: Sequence[msgspec.Raw]) -> bool:
        """Add the rows of one job; False, and none is added, if they are not simply inserted."""
        try:
            written = list(map(self._reader.columns, rows))
        except msgspec.DecodeError:
            return False
        if len(rows) == 1 and (known := self._rows.get(written[0])) is not None:
            known.append(rows[0])
            return True
        if not all(map(self._rows.__contains__, written)) and not self._make_room(written):
            return False
        for columns, row in zip(written, rows, strict=True):
            self._rows[columns].append(row)
        return True

    def writes(self) -> list[Write]:
        """Return the inserts, in a fixed order."""
        return [self._reader.write(columns, rows) for columns, rows in sorted(self._rows.items())]

    def _make_room(self, shapes: Sequence[tuple[str, ...]]) -> bool:
        if len(self._rows.keys() | set(shapes)) > MAX_SHAPES:
            return False
        for columns in shapes:
            self._rows.setdefault(columns, [])
        return True


#: By target, as its table was when it was last described.
_readers: dict[Target, _Reader] = {}


def plan_inserts(
    payloads: Sequence[HasTargetAndRows], targets: Mapping[str, Target], look: Look
) -> WholeWrites:
    """Return the inserts of all jobs whose rows are simply inserted, in the order of locks.

    Others are jobs for targets that care for what is there already, and jobs
    with a column that their table does not have.
    """
    plans: dict[str, _Inserts | None] = {}
    others = []
    for place, payload in enumerate(payloads):
        if payload.target not in plans:
            plans[payload.target] = _begin(targets[payload.target], look)
        plan = plans[payload.target]
        if plan is None or not plan.add(payload.rows):
            others.append(place)
    writes = [write for _, plan in sorted(plans.items()) if plan for write in plan.writes()]
    return WholeWrites(writes, others)


def _begin(target: Target, look: Look) -> _Inserts | None:
    if target.on_conflict is not OnConflict.ERROR:
        return None
    table = table_of(target, look)
    reader = _readers.get(target)
    if reader is None or reader.table is not table:
        reader = _readers[target] = _Reader(target, table)
    return _Inserts(reader)


def _fields(table: Table) -> dict[str, str]:
    """Return the columns by names that Python knows, without those that msgspec cannot spell."""
    return {
        f"column_{number}": name
        for number, name in enumerate(table.columns)
        if not _UNSPELLABLE.search(name)
    }


def _decoder(table: Table, fields: Mapping[str, str]) -> Callable[[msgspec.Raw], Any]:
    """Return a reader of rows that bring these columns, and no others.

    Strings are read where :attr:`Table.is_plain` counts on them; all else stays unread.
    """
    texts = table.text_columns if table.is_plain else frozenset()
    types = [
        (field, (str | None if name in texts else msgspec.Raw) | UnsetType, UNSET)
        for field, name in fields.items()
    ]
    row = msgspec.defstruct("Row", types, rename=fields, forbid_unknown_fields=True)
    return msgspec.json.Decoder(row).decode
