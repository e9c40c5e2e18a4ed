"""Redacted values are masked in the row and in the reason."""

import json

import pytest

from postgres.quarantine import QuarantinedRow
from tasks.redact import MASK, redact
from tasks.target_entries import read_target

ROW = {"id": 12345678901234567890, "email": "ann@example.org", "note": "see ann@example.org"}


def refused(row: str, column: str | None, message: str) -> QuarantinedRow:
    """Make an entry to be."""
    return QuarantinedRow("job", 1, "people", row, column, "22P02", message)


def test_named_column_is_masked_and_others_stay() -> None:
    """The row keeps its other members, digit by digit, and says which ones it lost."""
    masked = redact(refused(json.dumps(ROW), "id", "out of range"), ["email", "phone"])

    assert ROW | {"email": MASK} == json.loads(masked.row)
    assert (("email",), "out of range") == (masked.redacted, masked.message)


@pytest.mark.parametrize(
    ("column", "message", "expected"),
    [
        (
            "email",
            'invalid input syntax for type integer: "a@b"',
            f"invalid input syntax for type integer: {MASK}",
        ),
        ("id", "ann@example.org is taken", f"{MASK} is taken"),
        (None, 'null value in column "email"', 'null value in column "email"'),
    ],
)
def test_reason_does_not_quote_a_masked_value(
    column: str | None, message: str, expected: str
) -> None:
    """Of the guilty column all that the reason quotes goes, of others their values."""
    masked = redact(refused(json.dumps(ROW), column, message), ["email"])

    assert expected == masked.message


def test_row_that_cannot_be_read_is_masked_whole() -> None:
    """A line of a file that is no record may hold the value anywhere."""
    masked = redact(refused('"1;ann@example.org"', None, 'bad line "1;ann@example.org"'), ["email"])

    assert (json.dumps(MASK), MASK) == (masked.row, masked.message)


def test_nothing_is_masked_unless_asked_for() -> None:
    """A target without redacted columns keeps its rows as they came."""
    row = refused(" { } ", None, "words")

    assert row is redact(row, frozenset())


def test_member_that_feeds_a_redacted_column_is_hidden_too() -> None:
    """The catalog names columns; jobs may bring them under another name."""
    declared = {"table": "t", "redact": ["email"], "columns": {"email": {"from": "mail"}}}
    target, mistakes = read_target("people", declared)

    assert [] == mistakes
    assert target
    assert {"email", "mail"} == target.hidden


def test_redacting_nothing_is_a_mistake() -> None:
    """An empty list is more likely forgotten than meant."""
    _, mistakes = read_target("people", {"table": "t", "redact": []})

    assert ['redact = []: must name columns: write redact = ["email"]'] == mistakes
