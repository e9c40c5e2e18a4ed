"""Files of flights: January's, over and over, each row with a number of its own."""

import csv
import gzip
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.subjects.subject import ROOT

SOURCE = ROOT / "examples" / "flights" / "flights-2013-01.csv.gz"
#: One row in so many is bad in a file with bad rows.
BAD_EVERY = 100

Row = list[str]


def write_file(path: Path, rows: int, bad: str | None = None) -> Path:
    """Write a CSV file with a header; every hundredth row is bad in the way named."""
    spoil = SPOILERS[bad] if bad else None
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        source = flights()
        writer.writerow(["id", *next(source)])
        for number, flight in enumerate(itertools.islice(source, rows), 1):
            row = [str(number), *flight]
            if spoil and number % BAD_EVERY == 0:
                spoil(row)
            writer.writerow(row)
    return path


def flights() -> Iterator[Row]:
    """Yield the header, then the month again and again; what is missing is empty."""
    with gzip.open(SOURCE, "rt", encoding="utf-8", newline="") as file:
        header, *month = csv.reader(file)
    yield header
    yield from itertools.cycle([["" if v == "NA" else v for v in row] for row in month])


def _spoil(column: int, value: str) -> Callable[[Row], None]:
    def spoil(row: Row) -> None:
        row[column] = value

    return spoil


def _repeat_key(row: Row) -> None:
    row[0] = str(int(row[0]) - 1)


#: By what PostgreSQL says to it; columns count from the number.
SPOILERS: dict[str, Callable[[Row], None]] = {
    "type": _spoil(6, "late"),
    "check": _spoil(2, "13"),
    "not_null": _spoil(13, ""),
    "fk": _spoil(10, "??"),
    "unique": _repeat_key,
}
