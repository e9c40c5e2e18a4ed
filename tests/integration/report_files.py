"""Write queries as reports do, from a real snapshot; read the files with other people's code."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from postgres.pool import Pool
from postgres.snapshot import pin, snapshot
from tasks.reports.answer import Answer, Written
from tasks.reports.declared.catalog import load_reports
from tasks.reports.formats.formats import writer_of
from tasks.reports.request import request_of
from tasks.reports.sections import sections

csv.field_size_limit(1 << 30)


@dataclass
class Paper:
    """Where queries become files: a pool, a folder for a catalog, and what was told meanwhile."""

    pool: Pool
    catalog: Path
    told: list[int] = field(default_factory=list)

    def write(self, query: str, format_: str, file: Any = None) -> bytes:
        """Return the file of a query in a format."""
        return self.write_and_tell(query, format_, file)[0]

    def write_and_tell(
        self, query: str, format_: str, file: Any = None
    ) -> tuple[bytes, list[Written]]:
        """Return the file of a query in a format, and what the writer says of it."""
        folder = self.catalog / "reports"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "one.sql").write_text(f"/* celeriac\ntitle = 'One'\n*/ {query}")
        request = request_of(load_reports(self.catalog), "one", {}, format_)
        whole = io.BytesIO() if file is None else file
        with snapshot(self.pool) as reader:
            answer = Answer(request, pin(reader, 30), sections(request, reader), self.told.append)
            written = writer_of(request.format)(answer, whole)
        return whole.getvalue() if file is None else b"", written


def read_csv(data: bytes) -> Iterator[list[str]]:
    """Read CSV by Python's reader, which knows no NULL."""
    return csv.reader(io.StringIO(data.decode(), newline=""))


def read_json(data: bytes) -> list[dict[str, Any]]:
    """Read JSON lines by Python's reader, numbers with all their digits."""
    assert not data or data.endswith(b"\n")
    lines = data.decode().split("\n")[:-1]
    return [json.loads(line, parse_float=Decimal) for line in lines]


def read_parquet(data: bytes) -> pa.Table:
    """Read Parquet by Arrow's reader."""
    return parquet.read_table(pa.BufferReader(data))


def column_of(name: str) -> dict[str, Callable[[bytes], list[Any]]]:
    """Return by format how to read all values of one column; NULL is '' in CSV."""
    return {
        "csv": lambda data: [row[name] for row in csv.DictReader(_lines(data))],
        "jsonl": lambda data: [row[name] for row in read_json(data)],
        "parquet": lambda data: read_parquet(data).column(name).to_pylist(),
    }


def _lines(data: bytes) -> io.StringIO:
    return io.StringIO(data.decode(), newline="")
