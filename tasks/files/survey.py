"""Look at every row of a file: what its columns hold, and whether a key is one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.files.chunk import Record
from tasks.files.column_type import ColumnType, joined, type_of

#: More values than this are not remembered, neither of a column nor of a key.
_REMEMBERED_VALUES = 10_000
_REMEMBERED_KEYS = 2_000_000
_MARKERS = frozenset({"NA", "N/A", "NULL", "null", "\\N", "None", "nan", "-"})


@dataclass(frozen=True, slots=True)
class Odd:
    """A value that made a text of a column, and what all before it were."""

    value: Any
    line: int
    before: ColumnType


@dataclass(slots=True)
class Column:
    """What was seen in a column."""

    #: Of all values but the markers.
    narrow: ColumnType | None = None
    values: int = 0
    #: Values that mean NULL in many files, and are texts unless the file's options say so.
    markers: set[str] = field(default_factory=set)
    #: Some times in it name no zone.
    is_zoneless: bool = False
    odd: Odd | None = None
    _seen: dict[Any, None] = field(default_factory=dict)

    @property
    def type(self) -> ColumnType | None:
        """The narrowest type for all values; None if there is none."""
        return joined(self.narrow, ColumnType.TEXT) if self.markers else self.narrow

    def see(self, value: Any, line: int) -> None:
        """Take a value into account that is not NULL."""
        self.values += 1
        # Most columns repeat themselves; what widened the type once does not again.
        is_text = isinstance(value, str)
        if (is_text and value in self._seen) or self.narrow is ColumnType.TEXT:
            return
        if is_text and value in _MARKERS:
            self.markers.add(value)
            return
        found, is_zoneless = type_of(value)
        before, self.narrow = self.narrow, joined(self.narrow, found)
        if before is not None and self.narrow is ColumnType.TEXT:
            self.odd = Odd(value, line, before)
        self.is_zoneless |= is_zoneless
        if is_text and len(self._seen) < _REMEMBERED_VALUES:
            self._seen[value] = None


@dataclass(slots=True)
class Survey:
    """What was seen of a file, row by row."""

    key: Sequence[str] = ()
    columns: dict[str, Column] = field(default_factory=dict)
    rows: int = 0
    bad: int = 0
    first_bad: Record | None = None
    #: Rows whose key an earlier one has, or lacks a value.
    repeated_keys: int = 0
    missing_keys: int = 0
    _keys: set[int] = field(default_factory=set)

    def see(self, records: Iterable[Record]) -> None:
        """Take records into account; bad ones are counted and left out."""
        for record in records:
            if record.row is None:
                self.bad += 1
                self.first_bad = self.first_bad or record
            else:
                self._see_row(record.row, record.line)

    @property
    def knows_all_keys(self) -> bool:
        """Whether repeated keys were looked for in all rows."""
        return len(self._keys) < _REMEMBERED_KEYS

    def is_nullable(self, column: str) -> bool:
        """Tell whether some row has no value for a column."""
        return self.columns[column].values < self.rows

    def _see_row(self, row: Mapping[str, Any], line: int) -> None:
        self.rows += 1
        for name, value in row.items():
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = Column()
            if value is not None:
                column.see(value, line)
        if self.key:
            self._see_key(tuple(map(row.get, self.key)))

    def _see_key(self, key: tuple[Any, ...]) -> None:
        if None in key:
            self.missing_keys += 1
            return
        found = hash(key) if all(isinstance(one, str) for one in key) else hash(repr(key))
        self.repeated_keys += found in self._keys
        if self.knows_all_keys:
            self._keys.add(found)
