"""Make Arrow tables of CSV that PostgreSQL wrote, with the types that its columns have."""

import re
from collections.abc import Sequence

import pyarrow as pa
from pyarrow import csv

from postgres.snapshot import Column
from tasks.reports.answer import Unwritable
from tasks.reports.formats.parquet_columns import arrow_type, finishes

#: The reader drops one from the beginning of what it reads, also where it is a value's own.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLACE = re.compile(r"In CSV column #(\d+): ")
_VALUE = re.compile(r"'(.*)'", re.DOTALL)
_SHOWN_CHARACTERS = 80


class CsvParser:
    """Parses pieces of one answer; each is a number of whole records without a header."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._finishes = finishes(columns)
        self.schema = pa.schema([(one.name, arrow_type(one)) for one in columns])
        # By place while they are read: names are the query's, and may be anything.
        self._names = [str(place) for place in range(len(columns))]
        self._convert = csv.ConvertOptions(
            column_types={
                name: pa.string() if place in self._finishes else self.schema.field(place).type
                for place, name in enumerate(self._names)
            },
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        )
        # A record of one column that is NULL is an empty line.
        self._parse = csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)

    def table(self, piece: bytes) -> pa.Table:
        """Return the rows of a piece; raises :class:`Unwritable` at a value that Arrow has not."""
        if piece.startswith(_BYTE_ORDER_MARK):
            piece = _BYTE_ORDER_MARK + piece
        try:
            table = csv.read_csv(
                pa.py_buffer(piece),
                # One block: its rows may be of any size, and one thread has the core to itself.
                read_options=csv.ReadOptions(
                    use_threads=False, block_size=len(piece), column_names=self._names
                ),
                parse_options=self._parse,
                convert_options=self._convert,
            )
        except pa.ArrowException as error:
            raise self._refused(str(error)) from error
        for place, finish in self._finishes.items():
            try:
                table = table.set_column(place, str(place), finish(table.column(place)))
            except pa.ArrowException as error:
                raise self._unwritable(place, str(error)) from error
        return pa.Table.from_arrays(table.columns, schema=self.schema)

    def _refused(self, words: str) -> Unwritable:
        found = _PLACE.search(words)
        if found is None:
            return Unwritable(f"the rows cannot be read as PostgreSQL printed them: {words}")
        return self._unwritable(int(found[1]), words[found.end() :])

    def _unwritable(self, place: int, words: str) -> Unwritable:
        column, value = self._columns[place], _VALUE.search(words)
        what = f"holds {value[1][:_SHOWN_CHARACTERS]!r}" if value else f"is refused ({words})"
        return Unwritable(
            f"column {column.name!r} {what}, which {self.schema.field(place).type} of Parquet"
            " cannot hold: cast it to text in the query, or ask for csv"
        )
