"""What a report in Python reads with: queries of the snapshot, each into a frame of pandas."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID

import pandas as pd

from postgres import Cursor
from postgres.errors import Refused
from postgres.parameters import Value, ValueType, names, single
from postgres.snapshot import Query
from tasks.reports.in_python.read_frame import read_frame
from tasks.reports.values import BadValue, array_of, shown, value_of

_ALLOWED = "str, int, float, Decimal, bool, date, datetime with a zone, UUID, or a list of one"
_INT_BITS, _BIGINT_BITS = 31, 63
#: A datetime is a date and a bool an int too: the narrower class comes first.
_CLASSES = (
    (bool, ValueType.BOOL),
    (str, ValueType.TEXT),
    (float | Decimal, ValueType.NUMERIC),
    (datetime, ValueType.TIMESTAMPTZ),
    (date, ValueType.DATE),
    (UUID, ValueType.UUID),
)


class Reader:
    """Call it with one statement and a value for each ``:name`` in it; it returns a frame.

    All that it reads is of one instant, and it can write nothing.
    """

    def __init__(self, cursor: Cursor, declared: Mapping[str, Value]) -> None:
        #: The first refusal of PostgreSQL: no later query of the snapshot can succeed.
        self.refused: Refused | None = None
        self._cursor = cursor
        self._declared = declared
        # A report may read from threads of its own; a cursor serves one at a time.
        self._lock = Lock()

    def __call__(self, sql: str, **params: Any) -> pd.DataFrame:
        """Return the rows of a query."""
        query = single(sql).text
        if idle := sorted(set(params) - names(query)):
            raise BadValue(f"{idle[0]} is given, but the query never uses :{idle[0]}")
        values = {name: self._value(name, given) for name, given in params.items()}
        with self._lock:
            try:
                return read_frame(Query(self._cursor, query, values))
            except Refused as error:
                self.refused = self.refused or error
                raise

    def _value(self, name: str, given: Any) -> Value:
        given = _plain(given)
        try:
            if isinstance(given, list | tuple):
                return self._array(name, [_plain(one) for one in given])
            return self._null(name) if given is None else value_of(_type_of(given), given)
        except BadValue as error:
            raise BadValue(f"{name} {error}") from None

    def _null(self, name: str) -> Value:
        """Return NULL, of the type that the report declares for a parameter of this name."""
        known = self._declared.get(name, Value(ValueType.TEXT, None))
        return known._replace(text=None, elements=())

    def _array(self, name: str, given: Sequence[Any]) -> Value:
        if not given:
            return array_of(self._null(name).type, [])
        found = {_type_of(one) for one in given}
        numbers = [kind for kind in _NUMBERS if kind in found]
        if len(found) > 1 and len(numbers) < len(found):
            raise BadValue(f"must have elements of one type, got {shown(given)}")
        kind = numbers[0] if numbers else found.pop()
        return array_of(kind, [value_of(kind, one) for one in given])


#: The widest first.
_NUMBERS = (ValueType.NUMERIC, ValueType.BIGINT, ValueType.INT)


def _plain(given: Any) -> Any:
    """Return a value of numpy, or what pandas has for a missing one, as Python's own."""
    if given is pd.NA or given is pd.NaT:
        return None
    if isinstance(given, pd.Series | pd.Index) or type(given).__name__ == "ndarray":
        return given.tolist()
    return given.item() if type(given).__module__ == "numpy" else given


def _type_of(given: Any) -> ValueType:
    for class_, kind in _CLASSES:
        if isinstance(given, class_):
            return kind
    if not isinstance(given, int):
        raise BadValue(f"must be {_ALLOWED}, got {shown(given)}")
    bits = given.bit_length()
    if bits <= _INT_BITS:
        return ValueType.INT
    return ValueType.BIGINT if bits <= _BIGINT_BITS else ValueType.NUMERIC
