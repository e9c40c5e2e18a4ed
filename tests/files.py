"""Read files as file jobs do, from a folder that is the inbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.files import START, Chunk, Position, Record, open_reader, open_source, read_options


@dataclass(frozen=True, slots=True)
class Read:
    """What came out of a file."""

    columns: tuple[str, ...] | None
    chunks: list[Chunk]
    records: list[Record]

    @property
    def rows(self) -> list[Mapping[str, Any] | None]:
        """The rows of all records."""
        return [record.row for record in self.records]

    @property
    def data(self) -> bytes:
        """The data of all chunks."""
        return b"".join(chunk.data for chunk in self.chunks)


def read(path: Path, after: Position = START, **options: Any) -> Read:
    """Read a file of the inbox, which is its folder, to its end."""
    given = read_options(path.name, options.pop("format", None), options)
    with open_source(path.name, given, inbox=path.parent) as source:
        reader = open_reader(source, given, after)
        chunks = list(reader.chunks())
        columns = reader.columns or given.columns or tuple("abcdefgh")
        records = [one for chunk in chunks for one in reader.records(chunk, columns)]
        return Read(reader.columns, chunks, records)


def write(path: Path, data: str | bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
