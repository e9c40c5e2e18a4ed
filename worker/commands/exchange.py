"""Write quarantined rows as CSV or JSON lines, and read them back after somebody edited them."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from celeriac.contract import MAX_BODY_BYTES
from postgres.quarantined import QuarantineEntry

FORMATS = ("jsonl", "csv")

#: What a file tells of an entry. Only ``id`` and ``row`` are read back.
COLUMNS = (
    *("id", "target", "job_id", "row_number", "state"),
    *("column", "sqlstate", "message", "created_at", "row"),
)


class BadFile(Exception):
    """An edited file cannot be read; the message names the line and what to do."""


@dataclass(frozen=True, slots=True)
class EditedRow:
    """What a file says of an entry: its row as it should be, as JSON text."""

    entry_id: int
    row: str
    line: int


class _Line(msgspec.Struct):
    id: int
    row: msgspec.Raw


class Export(ABC):
    """Writes entries as they come, holding none."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    @abstractmethod
    def write(self, entry: QuarantineEntry) -> None:
        """Write one entry."""


class JsonLines(Export):
    """One JSON object a line; the row in it is the text that it came as."""

    def write(self, entry: QuarantineEntry) -> None:
        """Write one line."""
        members = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in _facts(entry).items()]
        # A row that came with line ends between its members still is one line here.
        row = (entry.row or "null").replace("\r", " ").replace("\n", " ")
        self.file.write(f'{{{", ".join(members)}, "row": {row}}}\n')


class Csv(Export):
    """One record an entry; the row is JSON text in its last column."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, entry: QuarantineEntry) -> None:
        """Write one record."""
        self._writer.writerow([*_facts(entry).values(), entry.row])


def export_to(file: IO[str], format_: str) -> Export:
    """Return what writes this format."""
    return Csv(file) if format_ == "csv" else JsonLines(file)


def format_of(path: str, given: str | None) -> str:
    """Return the format that was asked for, or the one that a file's name tells."""
    return given or ("csv" if path.lower().endswith(".csv") else "jsonl")


def read_edited(path: Path, format_: str) -> Iterator[EditedRow]:
    """Yield the rows of a file, holding one at a time. Raises :class:`BadFile`."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from _read_csv(path, file) if format_ == "csv" else _read_lines(path, file)
        except UnicodeDecodeError as error:
            raise BadFile(f"{path}: it is no UTF-8: {error}") from error


def _facts(entry: QuarantineEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "target": entry.target,
        "job_id": entry.job_id,
        "row_number": entry.row_number,
        "state": entry.state.value,
        "column": entry.column,
        "sqlstate": entry.sqlstate,
        "message": entry.message,
        "created_at": entry.created_at.isoformat(),
    }


def _read_lines(path: Path, file: IO[str]) -> Iterator[EditedRow]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            read = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadFile(
                f"{path}, line {number}: {error}; a line is an object with id and row, as exported"
            ) from error
        yield EditedRow(read.id, bytes(read.row).decode(), number)


def _read_csv(path: Path, file: IO[str]) -> Iterator[EditedRow]:
    csv.field_size_limit(2 * MAX_BODY_BYTES)
    reader = csv.DictReader(file)
    missing = {"id", "row"} - set(reader.fieldnames or ())
    if missing:
        raise BadFile(f"{path}: the header has no {' and no '.join(sorted(missing))}")
    try:
        for record in reader:
            yield _edited(path, record, reader.line_num)
    except csv.Error as error:
        raise BadFile(f"{path}, line {reader.line_num}: {error}") from error


def _edited(path: Path, record: dict[str, str | None], line: int) -> EditedRow:
    text = record["row"] or ""
    try:
        entry_id = int(record["id"] or "")
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{path}, line {line}: {error}; it needs an id and a row as JSON") from error
    return EditedRow(entry_id, text, line)
