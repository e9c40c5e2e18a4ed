"""Read the rows of a query into a frame of pandas, with types that its columns deserve.

Loaded late: pandas takes as long to load as all the rest of a worker.
"""

import tempfile
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import compute, csv

from postgres.snapshot import Query

#: Dates keep whole seconds and times microseconds; that is how a frame tells them apart again.
DATE = pa.timestamp("s")


def read_frame(query: Query) -> pd.DataFrame:
    """Return all rows of a query, in memory, by way of COPY.

    A column that holds what its type in pandas cannot (an infinite date, a
    year before Christ) comes as the text that PostgreSQL prints.
    """
    columns = query.columns
    # Of no name: nothing is left of it when this process dies.
    with tempfile.TemporaryFile() as spool:
        query.copy_csv(spool)
        spool.seek(0)
        table = _as_text(spool, len(columns))
    typed = [
        _typed(table.column(at), column.type_oid).to_pandas(types_mapper=_dtype)
        for at, column in enumerate(columns)
    ]
    frame = pd.concat(typed, axis=1) if typed else pd.DataFrame()
    frame.columns = pd.Index([column.name for column in columns], dtype=object)
    return frame


def _as_text(spool: Any, columns: int) -> pa.Table:
    """Read CSV as PostgreSQL writes it: NULL is bare, an empty text is quoted."""
    names = [str(at) for at in range(columns)]
    return csv.read_csv(
        spool,
        # By place, because two columns of an answer may have one name.
        read_options=csv.ReadOptions(skip_rows=1, column_names=names),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _typed(texts: pa.ChunkedArray, type_oid: int) -> pa.ChunkedArray:
    try:
        return _TYPED.get(type_oid, _same)(texts)
    except pa.ArrowInvalid:
        return texts


def _dtype(arrow: pa.DataType) -> Any:
    """Choose types of pandas that can hold NULL beside what they hold."""
    return _DTYPES.get(arrow)


_DTYPES: Mapping[pa.DataType, Any] = MappingProxyType(
    {
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
        # What pandas calls str; said, because it guesses otherwise where there are no rows.
        pa.string(): pd.StringDtype(na_value=float("nan")),
    }
)


def _same(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return texts


def _to(*ways: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    def convert(texts: pa.ChunkedArray) -> pa.ChunkedArray:
        for way in ways:
            texts = texts.cast(way)
        return texts

    return convert


def _bool(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return compute.equal(texts, "t")


#: How PostgreSQL's text becomes what, by the OIDs of types; all others stay text.
_TYPED: Mapping[int, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = MappingProxyType(
    {
        16: _bool,
        20: _to(pa.int64()),
        21: _to(pa.int64()),
        23: _to(pa.int64()),
        700: _to(pa.float64()),
        701: _to(pa.float64()),
        1700: _to(pa.float64()),
        1082: _to(pa.date32(), DATE),
        1114: _to(pa.timestamp("us")),
        1184: _to(pa.timestamp("us", tz="UTC")),
    }
)
