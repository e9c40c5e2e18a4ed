"""Enums, arrays and bounds of a report's parameters: what they take, and what they say."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from postgres.parameters import Value, ValueType
from tasks.reports.declared.parameter import Parameter
from tasks.reports.values import BadValue, meaning

WORDS = ("new", "o'k")


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        (Parameter("enum", values=WORDS), "o'k", Value(ValueType.TEXT, "o'k")),
        (
            Parameter("int[]"),
            (1, -2),
            Value(ValueType.INT, "{1,-2}", is_array=True, elements=("1", "-2")),
        ),
        (
            Parameter("text[]"),
            ['a"b', "c\\", "NULL", "", "{,}", "é"],
            Value(
                ValueType.TEXT,
                r'{"a\"b","c\\","NULL","","{,}","é"}',
                is_array=True,
                elements=('a"b', "c\\", "NULL", "", "{,}", "é"),
            ),
        ),
        (Parameter("date[]"), None, Value(ValueType.DATE, None, is_array=True)),
        (Parameter("text", max_length=2), "éé", Value(ValueType.TEXT, "éé")),
        (
            Parameter("date", min=date(2013, 1, 1)),
            "2013-01-01",
            Value(ValueType.DATE, "2013-01-01"),
        ),
    ],
)
def test_good_values_become_text(parameter: Parameter, given: Any, expected: Value) -> None:
    """A value within its bounds becomes the text that PostgreSQL reads."""
    value = parameter.value(given)

    assert expected == value


@pytest.mark.parametrize(
    ("parameter", "given", "words"),
    [
        (Parameter("enum", values=WORDS), "old", "must be one of new, o'k, got 'old'"),
        (Parameter("enum[]", values=WORDS), ["new", 5], "at 1 must be a string .*, got 5"),
        (Parameter("int[]"), "1,2", "must be a list of int, got '1,2'"),
        (Parameter("int[]"), [1, None], "must have no null in it, got one at 1"),
        (Parameter("int[]", max=5), [5, 6], "at 1 must be at most 5, got 6"),
        (Parameter("uuid[]", max_length=1), ["a", "b"], "must have at most 1 elements, got 2"),
        (Parameter("text", max_length=2), "abc", "must have at most 2 characters, got 3"),
        (Parameter("numeric", min="0.1"), 0.05, "must be at least 0.1, got 0.05"),
        (
            Parameter("timestamptz", max=datetime(2013, 1, 1, tzinfo=UTC)),
            "2013-01-01T00:00:00-01:00",
            r"must be at most 2013-01-01T00:00:00\+00:00, got",
        ),
    ],
)
def test_values_out_of_bounds_are_refused(parameter: Parameter, given: Any, words: str) -> None:
    """A refused value is told with its limit, and with its place in a list."""
    with pytest.raises(BadValue, match=words):
        parameter.value(given)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"type": "money"}, "type must be one of text, .*, got 'money'"),
        ({"type": "int[][]"}, "type must be one of"),
        ({"type": "enum"}, "an enum needs its values"),
        ({"type": "int", "values": ("1",)}, "no other type has any"),
        ({"type": "enum", "values": ("a", "a")}, "values must differ"),
        ({"type": "uuid", "min": 1}, "min and max are for numbers and times, not for uuid"),
        ({"type": "int", "max": "many"}, "max must be a whole number of 32 bits, got 'many'"),
        ({"type": "int", "max_length": 5}, "max_length is for text and arrays, not for int"),
        ({"type": "int", "required": True, "default": 5}, "can have no default"),
    ],
)
def test_declarations_must_fit_together(declared: dict[str, Any], words: str) -> None:
    """A declaration that means nothing is refused when it is read."""
    with pytest.raises(ValueError, match=words):
        Parameter(**declared)


@pytest.mark.parametrize(
    ("type_", "given", "expected"),
    [
        ("numeric[]", ["1.50"], [Decimal("1.50")]),
        ("date", "2013-01-31", date(2013, 1, 31)),
        ("bool[]", [True, False], [True, False]),
        ("int", None, None),
        ("timestamptz", "2013-01-01T00:00:00Z", datetime(2013, 1, 1, tzinfo=UTC)),
    ],
)
def test_values_mean_something_in_python(type_: str, given: Any, expected: object) -> None:
    """A report in Python gets numbers, times and lists, not their texts."""
    found = meaning(Parameter(type_).value(given))

    assert (expected, type(expected)) == (found, type(found))
