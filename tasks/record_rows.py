"""Make rows of an ingest job from the records of a file that is looked at one by one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from postgres.table import Table
from tasks.files import Record, Shape
from tasks.mapping import Intake
from tasks.rows import Reason, Row
from tasks.target import Target

_JSON = frozenset({"json", "jsonb"})
_INVALID_TEXT = "22P02"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of some records; ``bad`` are those that are none, each with its reason."""

    good: list[Row] = field(default_factory=list)
    bad: list[tuple[Row, Reason]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecordRows:
    """Makes rows of the records of one file; a row's number is its line in the file."""

    job_id: str
    #: Members whose text is the JSON of a column, not a string in it.
    json_members: frozenset[str] = frozenset()
    #: Whether a record's text is an object already, its numbers as they were written.
    is_json: bool = False

    @classmethod
    def of(cls, job_id: str, target: Target, table: Table, shape: Shape) -> "RecordRows":
        """Return what makes rows for a target; as COPY reads CSV, and JSON as it stands."""
        if shape is not Shape.CSV:
            return cls(job_id, is_json=True)
        fed = Intake.of(target, table.columns).feeds.items()
        wanted = {name for name, column in table.columns.items() if column.type in _JSON}
        return cls(job_id, frozenset(member for member, column in fed if column in wanted))

    def read(self, records: Iterable[Record]) -> Rows:
        """Return the rows of all records."""
        rows = Rows()
        for record in records:
            if record.row is None:
                reason = Reason(record.sqlstate or _INVALID_TEXT, record.error or "")
                rows.bad.append((self._raw(record), reason))
            elif self.json_members:
                self._read_json(record, rows)
            else:
                rows.good.append(self._row(record, record.row))
        return rows

    def _read_json(self, record: Record, rows: Rows) -> None:
        members = dict(record.row or {})
        for name in self.json_members & members.keys():
            value = members[name]
            if isinstance(value, str):
                try:
                    members[name] = msgspec.Raw(msgspec.json.format(value, indent=-1).encode())
                except msgspec.DecodeError as error:
                    words = f"invalid input syntax for type json: {error}"
                    rows.bad.append(
                        (self._row(record, record.row), Reason(_INVALID_TEXT, words, name))
                    )
                    return
        rows.good.append(self._row(record, members))

    def _row(self, record: Record, members: object) -> Row:
        columns = frozenset(record.row or ())
        text = record.text if self.is_json else _encode(members).decode()
        return Row(self.job_id, record.line, text, columns)

    def _raw(self, record: Record) -> Row:
        return Row(self.job_id, record.line, _encode(record.text).decode(), frozenset())
