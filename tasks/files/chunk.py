"""What comes out of a file: chunks, and records where a chunk has to be taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tasks.files.position import Position


class Shape(Enum):
    """How the records of a chunk are written."""

    CSV = "csv"
    JSON_LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How CSV is written; each is the option of PostgreSQL's COPY of the same name."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    null: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records of a file, UTF-8, as they go to ``COPY … (FORMAT csv)`` without a header.

    JSON lines are as they came; empty lines among them are no records.
    """

    data: bytes
    records: int
    #: Of the first record, from 1; the header is no record.
    first_record: int
    #: In the file, from 1; for Parquet the record's number.
    first_line: int
    end: Position
    #: How much of the file as it is stored lies before the end, about; reading is further.
    done_bytes: int
    #: A line that is only ``\.``: PostgreSQL up to 17 would take it for the end of a COPY.
    has_end_marker: bool = False
    #: Whether all of it is valid UTF-8; not so only under ``bad_encoding = "quarantine"``.
    is_utf8: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a chunk, for treatment of its own.

    ``row`` is None where ``error`` says why there is none. Values of CSV are
    text or None; those of JSON are as msgspec decodes them: ``text`` has the
    number as it was written.
    """

    number: int
    line: int
    text: str
    row: Mapping[str, Any] | None
    error: str | None = None
    #: PostgreSQL's code for such an error.
    sqlstate: str | None = None
