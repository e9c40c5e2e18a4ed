"""Let a frame of pandas be read as the answer of a query is: in the words of PostgreSQL.

Loaded late: pandas takes as long to load as all the rest of a worker.
"""

import json
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from io import BufferedIOBase
from typing import Any

import pandas as pd

from postgres.snapshot import Column
from tasks.reports.answer import TextRow
from tasks.reports.in_python.frame_values import (
    BOOL,
    JSONB,
    NUMBERS,
    TIMESTAMP,
    TIMESTAMPTZ,
    oid_of,
    printer_of,
)

_BATCH_ROWS = 5_000
#: What makes CSV of PostgreSQL quote a value; alone on its line, the other would end a COPY.
_QUOTED = frozenset(',"\r\n')
_END_OF_COPY = "\\."
_BOOLEANS = {"t": "true", "f": "false"}


class FrameSource:
    """The rows of a frame, which is in memory whole.

    A named index becomes columns, an unnamed one is left out. What pandas
    counts as missing is NULL: ``NaN`` too, which it does not tell apart.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        named = [name for name in frame.index.names if name is not None]
        self._frame = frame.reset_index(level=named) if named else frame

    @cached_property
    def columns(self) -> Sequence[Column]:
        """The columns, with the types of PostgreSQL that hold what they hold."""
        return [
            Column(_name(label), oid_of(self._frame.iloc[:, at]))
            for at, label in enumerate(self._frame.columns)
        ]

    def copy_csv(self, file: BufferedIOBase) -> int:
        """Write all rows as CSV with a header, NULL bare and '' quoted; return their number."""
        file.write(_csv_line([column.name for column in self.columns]).encode())
        for rows in self.batches(_BATCH_ROWS):
            file.write("".join(map(_csv_line, rows)).encode())
        return len(self._frame)

    def csv_pieces(self, piece_bytes: int) -> Generator[bytes, None, None]:
        """Yield all rows as ``copy_csv`` has them, without a header, in pieces of whole records."""
        piece = bytearray()
        for rows in self.batches(_BATCH_ROWS):
            for row in rows:
                piece += _csv_line(row).encode()
                if len(piece) >= piece_bytes:
                    yield bytes(piece)
                    piece.clear()
        if piece:
            yield bytes(piece)

    def copy_json_lines(self, file: BufferedIOBase) -> int:
        """Write all rows as JSON objects, one a line; return their number."""
        names = [json.dumps(column.name, ensure_ascii=False) for column in self.columns]
        oids = [column.type_oid for column in self.columns]
        for rows in self.batches(_BATCH_ROWS):
            lines = (
                ",".join(
                    f"{name}:{_json(text, oid)}"
                    for name, text, oid in zip(names, row, oids, strict=True)
                )
                for row in rows
            )
            file.write("".join(f"{{{line}}}\n" for line in lines).encode())
        return len(self._frame)

    def batches(self, batch_rows: int) -> Iterator[Sequence[TextRow]]:
        """Yield all rows, as PostgreSQL would print them, so many at a time."""
        for start in range(0, len(self._frame), batch_rows):
            yield self._rows(start, start + batch_rows)

    def first(self, limit_rows: int) -> tuple[Sequence[TextRow], int]:
        """Return the first rows, and how many there are in all."""
        return self._rows(0, limit_rows), len(self._frame)

    def _rows(self, start: int, end: int) -> Sequence[TextRow]:
        part = self._frame.iloc[start:end]
        texts = [
            _texts(part.iloc[:, at], column.type_oid) for at, column in enumerate(self.columns)
        ]
        return list(zip(*texts, strict=True))


def _texts(values: pd.Series, oid: int) -> list[str | None]:
    print_, missing = printer_of(oid), values.isna()
    return [
        None if gone else print_(value)
        for value, gone in zip(values.astype(object), missing, strict=True)
    ]


def _csv_line(row: Sequence[str | None]) -> str:
    if list(row) == [_END_OF_COPY]:
        return f'"{_END_OF_COPY}"\n'
    return ",".join(map(_csv_field, row)) + "\n"


def _csv_field(text: str | None) -> str:
    if text is None:
        return ""
    if text and _QUOTED.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _json(text: str | None, oid: int) -> str:
    """Write a value as PostgreSQL's JSON has it."""
    if text is None:
        return "null"
    if oid == JSONB or (oid in NUMBERS and text[-1].isdigit()):
        return text
    if oid == BOOL:
        return _BOOLEANS[text]
    if oid in {TIMESTAMP, TIMESTAMPTZ}:
        text = text.replace(" ", "T") + (":00" if oid == TIMESTAMPTZ else "")
    return json.dumps(text, ensure_ascii=False)


def _name(label: Any) -> str:
    """Name a column; one of several levels is named by all of them."""
    parts = label if isinstance(label, tuple) else (label,)
    return " ".join(str(part) for part in parts if str(part))
