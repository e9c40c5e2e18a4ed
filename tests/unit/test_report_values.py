"""Which values a parameter takes, and as what PostgreSQL will read them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from postgres.parameters import Value, ValueType
from tasks.reports.values import BadValue, value_of

SOME_ID = "0198f3a2-7c1e-7000-8000-00000000000a"


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("text", "'; drop table x; --", "'; drop table x; --"),
        ("text", "", ""),
        ("int", -(2**31), "-2147483648"),
        ("bigint", 2**63 - 1, "9223372036854775807"),
        ("numeric", 0.1, "0.1"),
        ("numeric", "12345678901234567890.123", "12345678901234567890.123"),
        ("numeric", Decimal("1E+3"), "1000"),
        ("date", "2013-01-31", "2013-01-31"),
        ("date", date(2013, 1, 31), "2013-01-31"),
        ("timestamptz", "2013-01-01T05:00:00Z", "2013-01-01T05:00:00+00:00"),
        ("timestamptz", datetime(2013, 1, 1, tzinfo=UTC), "2013-01-01T00:00:00+00:00"),
        ("timestamptz", "2013-01-01T05:00:00.123456000Z", "2013-01-01T05:00:00.123456+00:00"),
        ("numeric", "-.5e-1", "-0.05"),
        ("bool", False, "false"),
        ("uuid", SOME_ID.upper(), SOME_ID),
        ("uuid", UUID(SOME_ID), SOME_ID),
        ("date", None, None),
    ],
)
def test_good_values_become_text(kind: str, given: Any, expected: str | None) -> None:
    """A value of the type becomes the text that PostgreSQL reads."""
    value = value_of(ValueType(kind), given)

    assert Value(ValueType(kind), expected) == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", 5),
        ("text", "a\0b"),
        ("text", "\ud800"),
        ("int", 2**31),
        ("int", True),
        ("int", "5"),
        ("int", 5.0),
        ("bigint", 2**63),
        ("numeric", "NaN"),
        ("numeric", float("inf")),
        ("numeric", "1e999999999"),
        ("numeric", True),
        ("numeric", "1;"),
        ("numeric", "1_000"),
        ("numeric", " 1 "),
        ("numeric", "\u0661"),
        ("timestamptz", "2013-01-01T05:00:00.123456001Z"),
        ("date", "2013-02-30"),
        ("date", "20130131"),
        ("date", datetime(2013, 1, 1, tzinfo=UTC)),
        ("timestamptz", "2013-01-01T05:00:00"),
        ("timestamptz", "soon"),
        ("timestamptz", 5),
        ("bool", "true"),
        ("bool", 1),
        ("uuid", "5"),
        ("uuid", 5),
        ("uuid", ["a"]),
    ],
)
def test_bad_values_are_refused(kind: str, given: Any) -> None:
    """A value of another type is refused with the value and what would be allowed."""
    with pytest.raises(BadValue, match=r"^must be .*, got "):
        value_of(ValueType(kind), given)


def test_long_values_are_shortened_in_messages() -> None:
    """A huge value does not make a huge message."""
    with pytest.raises(BadValue) as caught:
        value_of(ValueType.DATE, "x" * 1_000_000)

    assert len(str(caught.value)) < 200


def test_half_a_pair_is_shown_as_it_was_sent() -> None:
    """A text that came masked, as no UTF-8 can hold it, is not blamed for the mask."""
    with pytest.raises(BadValue, match=r"half surrogate pairs, got 'a\\ud800b'$"):
        value_of(ValueType.TEXT, "a\0ud800b")
