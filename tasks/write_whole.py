"""Say what the rows of plain jobs write: one insert for each target and set of columns."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from postgres.insert_rows import Destination, OnConflict, whole_insert
from postgres.statements import Composition
from postgres.table import Table
from postgres.whole import Write
from tasks.fit import meets_known_keys, mismatches, table_of
from tasks.insert import columns_to_write
from tasks.kind import Look, WholeWrites
from tasks.mapping import Intake
from tasks.rows import members_of
from tasks.target import Target

#: Inserts a target in one statement: PostgreSQL plans all of them before it begins.
MAX_SHAPES = 8

#: Shapes of one table's rows that are remembered with their inserts.
_KEPT_SHAPES = 64

#: How long only a column's type is watched; then one statement looks at everything.
_TRUSTED_SECONDS = 1.0

#: Characters that msgspec refuses in the names of members.
_UNSPELLABLE = re.compile(r'["\\\x00-\x1f]')

_Rows = Sequence[msgspec.Raw]


class HasTargetAndRows(Protocol):
    """A payload that carries rows for one target, or for several by their names."""

    target: str
    rows: list[msgspec.Raw] | dict[str, list[msgspec.Raw]]


class _Reader:
    """Reads just enough of a table's rows to know which columns they write."""

    def __init__(self, target: Target, table: Table) -> None:
        self.table = table
        self.intake = Intake.of(target, table.columns)
        self.takes_rows = not mismatches(target, table)
        self._target = target
        self._fields = _fields(table)
        self._decode = _decoder(table, self._fields, strict=not target.ignores_unknown)
        #: Fields of the columns that fill themselves: which of them a row brings decides its shape.
        self._optional = [
            field
            for field, name in self._fields.items()
            if table.columns[name].has_default or name in target.needed
        ]
        self._shapes: dict[tuple[bool, ...], tuple[str, ...]] = {}
        self._inserts: dict[tuple[tuple[str, ...], bool], Composition] = {}
        self._looked_at = 0.0

    def columns(self, row: msgspec.Raw) -> tuple[str, ...]:
        """Return the columns that a row writes. Raises DecodeError if it does not fit."""
        read = self._decode(row)
        brought = tuple([getattr(read, field) is not UNSET for field in self._optional])
        if brought not in self._shapes:
            self._shapes[brought] = self._shape(brought)
        return self._shapes[brought]

    def write(self, columns: tuple[str, ...], rows: _Rows, now: float) -> Write:
        """Return the insert of rows that write these columns."""
        thoroughly = now - self._looked_at > _TRUSTED_SECONDS
        if thoroughly:
            self._looked_at = now
        insert = self._inserts.get((columns, thoroughly))
        if insert is None:
            # Also for ``ignore``: while all keys are new the two are one.
            key = self._target.key
            destination = Destination(self.table, columns, key, OnConflict.ERROR)
            insert = whole_insert(destination, thoroughly=thoroughly)
            self._inserts[columns, thoroughly] = insert
        text = b",".join(rows).decode("utf-8")
        return Write(insert, {"rows": f"[{text}]"}, len(rows))

    def mapped(self, rows: _Rows) -> _Rows:
        """Return rows by the table's columns. Raises DecodeError if one does not fit."""
        return list(map(self._mapped, rows)) if self.intake.is_needed else rows

    def _mapped(self, row: msgspec.Raw) -> msgspec.Raw:
        mapped = self.intake.map(members_of(row), {})
        if mapped.unknown:
            raise msgspec.DecodeError("a member is no column")
        return msgspec.Raw(msgspec.json.encode(mapped.members))

    def _shape(self, brought: tuple[bool, ...]) -> tuple[str, ...]:
        if len(self._shapes) >= _KEPT_SHAPES:
            self._shapes.clear()
            self._inserts.clear()
        names = frozenset(self._fields[field] for field in compress(self._optional, brought))
        if not self._target.needed <= names:
            raise msgspec.DecodeError("a part of the key is missing")
        return columns_to_write(self._target, self.table, names)


class _Inserts:
    """The rows for one target, by the columns that they write."""

    def __init__(self, reader: _Reader) -> None:
        self.level = reader.table.level
        self._reader = reader
        self._rows: dict[tuple[str, ...], list[msgspec.Raw]] = {}

    def add(self, rows: _Rows) -> bool:
        """Add the rows of one job; False, and none is added, if they are not simply inserted."""
        if len(rows) == 1 and not self._reader.intake.is_needed:
            return self._add_one(rows[0])
        fitting = self.fit(rows)
        if fitting is not None:
            self.take(*fitting)
        return fitting is not None

    def fit(self, rows: _Rows) -> tuple[_Rows, list[tuple[str, ...]]] | None:
        """Return rows as they go in, with their columns; None if they are not simply inserted."""
        try:
            rows = self._reader.mapped(rows)
            written = list(map(self._reader.columns, rows))
        except msgspec.DecodeError:
            return None
        if not all(map(self._rows.__contains__, written)) and not self._make_room(written):
            return None
        return rows, written

    def _add_one(self, row: msgspec.Raw) -> bool:
        try:
            columns = self._reader.columns(row)
        except msgspec.DecodeError:
            return False
        if columns not in self._rows and not self._make_room([columns]):
            return False
        self._rows[columns].append(row)
        return True

    def take(self, rows: _Rows, written: Sequence[tuple[str, ...]]) -> None:
        """Add rows that fit."""
        for columns, row in zip(written, rows, strict=True):
            self._rows[columns].append(row)

    def writes(self, now: float) -> list[Write]:
        """Return the inserts, in a fixed order."""
        return [
            self._reader.write(columns, rows, now)
            for columns, rows in sorted(self._rows.items())
            if rows
        ]

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

    Others are jobs for targets that update, or that met known keys just now,
    and jobs with a column that their table does not have.
    """
    plans: dict[str, _Inserts | None] = {}
    others = []
    for place, payload in enumerate(payloads):
        rows = payload.rows
        if isinstance(rows, dict):
            added = _add_all(rows, plans, targets, look)
        else:
            if payload.target not in plans:
                plans[payload.target] = _begin(targets[payload.target], look)
            plan = plans[payload.target]
            added = plan is not None and plan.add(rows)
        if not added:
            others.append(place)
    # Parents before children, as on the careful way; then by name.
    ordered = sorted((plan.level, name) for name, plan in plans.items() if plan)
    now = time.monotonic()
    found = [plans[name] for _, name in ordered]
    return WholeWrites([write for plan in found if plan for write in plan.writes(now)], others)


def _add_all(
    rows: Mapping[str, _Rows],
    plans: dict[str, _Inserts | None],
    targets: Mapping[str, Target],
    look: Look,
) -> bool:
    """Add the rows of one job for several targets: all of them or none."""
    for name in rows:
        if name not in plans:
            plans[name] = _begin(targets[name], look)
    found = [(plans[name], some) for name, some in rows.items()]
    fitting = [(plan, plan.fit(some)) for plan, some in found if plan is not None]
    if len(fitting) < len(found) or any(fits is None for _, fits in fitting):
        return False
    for plan, fits in fitting:
        if fits is not None:
            plan.take(*fits)
    return True


def _begin(target: Target, look: Look) -> _Inserts | None:
    # A zone is set, and a job's id told, only where there is a transaction with several statements.
    takes_more = target.timezone or target.job_column or target.batch_column
    if target.on_conflict is OnConflict.UPDATE or takes_more or meets_known_keys(target):
        return None
    table = table_of(target, look)
    reader = _readers.get(target)
    if reader is None or reader.table is not table:
        reader = _readers[target] = _Reader(target, table)
    return _Inserts(reader) if reader.takes_rows else None


def _fields(table: Table) -> dict[str, str]:
    """Return the columns by names that Python knows, without those that msgspec cannot spell."""
    return {
        f"column_{number}": name
        for number, name in enumerate(table.columns)
        if not _UNSPELLABLE.search(name)
    }


def _decoder(
    table: Table, fields: Mapping[str, str], *, strict: bool
) -> Callable[[msgspec.Raw], Any]:
    """Return a reader of rows that bring these columns and, if strict, no others.

    Strings are read where :attr:`Table.is_plain` counts on them; all else stays unread.
    """
    texts = table.text_columns if table.is_plain else frozenset()
    types = [
        (field, (str | None if name in texts else msgspec.Raw) | UnsetType, UNSET)
        for field, name in fields.items()
    ]
    row = msgspec.defstruct("Row", types, rename=fields, forbid_unknown_fields=strict)
    return msgspec.json.Decoder(row).decode
