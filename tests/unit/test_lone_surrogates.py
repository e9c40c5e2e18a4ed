"""Half of a character pair reaches the row that it is in, and no further."""

import json

import msgspec
import pytest

from postgres.lone_surrogates import unmask
from tasks.wire import read_body


def row_of(text: str) -> str:
    """Send one row the way of any argument; return it as the tables' side gets it."""
    body = read_body(f'[[], {{"rows": [{text}]}}, null]'.encode())
    return bytes(msgspec.json.decode(body.kwargs["rows"], type=list[msgspec.Raw])[0]).decode()


@pytest.mark.parametrize(
    "text",
    [
        r'{"name":"\ud800"}',
        r'{"name":"a\udfffb\udfff"}',
        r'{"name":"\udc00\ud800"}',
        r'{"a\udabc":[{"b":"\ud800","c":1.10}]}',
        r'{"name":"\\\ud800"}',
    ],
)
def test_lone_surrogate_comes_back(text: str) -> None:
    """A message with half a pair is read; the row is as it came once it is unmasked."""
    row = row_of(text)

    assert r"\u0000u" in row
    assert json.loads(text) == json.loads(unmask(row))


@pytest.mark.parametrize(
    "text", [r'{"name":"\ud83d\ude00"}', r'{"name":"\\ud800"}', r'{"name":"\\\\u0000ud800"}']
)
def test_whole_texts_stay(text: str) -> None:
    """Whole pairs, and what only looks like half of one, are left alone."""
    row = row_of(text)

    assert json.loads(text) == json.loads(row)
    assert row == unmask(row)
