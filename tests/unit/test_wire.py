"""Message bodies: every value arrives as the producer meant it, by the fast way and the slow."""

import json
import math
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from tasks.kind import BadPayload
from tasks.wire import read_body

EMBED = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'


def told(text: str) -> Any:
    """Send one value, given as JSON, the way of any argument; return what the text then says."""
    body = read_body(f"[[{text}], {{}}, {EMBED}]".encode())
    return json.loads(bytes(body.args[0]), parse_float=Decimal, parse_constant=pytest.fail)


def meant(value: Any) -> Any:
    """Return what PostgreSQL has to be told for a value that kombu gives."""
    match value:
        case list():
            return [meant(one) for one in value]
        case dict():
            return {key: meant(one) for key, one in value.items()}
        case Decimal():
            return value if value.is_finite() else str(value)
        case float():
            return Decimal(repr(value)) if math.isfinite(value) else json.dumps(value)
        case datetime() | date() | time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case bytes():
            return f"\\x{value.hex()}"
        case _:
            return value


VALUES = [
    datetime(2024, 2, 29, 12, 30, 15, 123456),
    datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-11, minutes=-30))),
    date(2024, 2, 29),
    date(9999, 12, 31),
    time(23, 59, 59, 999999),
    time(1, 2, tzinfo=UTC),
    Decimal("12345678901234567890.12345678901234567890"),
    Decimal("-0.00"),
    Decimal("1E+30"),
    Decimal("1E-30"),
    Decimal("NaN"),
    Decimal("-Infinity"),
    uuid.UUID("0198f3a2-7c1e-7000-8000-00000000000a"),
    b"plain \x00 text",
    "grün".encode(),
    b"\xff\xfe\x00 no text",
    b"",
    float("nan"),
    float("inf"),
    float("-inf"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_kombus_types_mean_the_same(value: Any) -> None:
    """Each value that kombu marks, or writes bare, says what kombu's own reader gives."""
    text = kombu_json.dumps(value)

    given, ours = kombu_json.loads(text), told(text)

    assert repr(value) == repr(given)
    assert meant(value) == ours


def test_every_type_of_kombu_is_known() -> None:
    """A type that kombu comes to register shows here first."""
    ours = {json.loads(kombu_json.dumps(value)).get("__type__") for value in VALUES[:-3]}

    assert set(kombu_json._decoders) == ours


@pytest.mark.parametrize(
    "digits",
    [
        "12345678901234567890123",
        "-9223372036854775809",
        "12345678901234567.89",
        "0.1000000000000000055511151231257827",
        "1e400",
        "1E-400",
        "-0.0",
        "-0",
        "9" * 5000,
    ],
    ids=lambda digits: digits[:20],
)
@pytest.mark.parametrize("beside", ["1", "NaN", '{"__type__": "date", "__value__": "2024-01-01"}'])
def test_numbers_keep_their_digits(digits: str, beside: str) -> None:
    """No number is rounded on its way, by the fast reader or by the slow one."""
    body = read_body(f'[[{{"n": [{digits}]}}, {beside}], {{"n": {digits}}}, null]'.encode())

    argument = bytes(body.args[0]).decode().replace(" ", "")
    assert (f'{{"n":[{digits}]}}', digits) == (argument, bytes(body.kwargs["n"]).decode())


def test_plain_rows_stay_as_they_came() -> None:
    """The fast reader passes rows on byte for byte: spaces, order, repeated names and all."""
    rows = '[ {"b" : 1 , "a":"\\u00fc", "a": 2.50} ]'

    body = read_body(f'[["t"], {{"rows":{rows}}}, {EMBED}]'.encode())

    assert (b'"t"', rows.encode()) == (bytes(body.args[0]), bytes(body.kwargs["rows"]).strip())


def test_mark_is_no_mark_with_company() -> None:
    """Only an object of the two names alone is a typed value; any other is an object."""
    value = {"__type__": "date", "__value__": "2024-01-01", "more": 1}

    ours = told(json.dumps([value, {"__type__": "date"}, "__type__"]))

    assert [value, {"__type__": "date"}, "__type__"] == ours


def test_typed_values_are_found_at_any_depth() -> None:
    """A date inside a row inside the rows is read like one at the top."""
    ours = told(kombu_json.dumps({"rows": [{"d": [{"x": date(2024, 1, 1)}]}]}))

    assert {"rows": [{"d": [{"x": "2024-01-01"}]}]} == ours


def test_nul_reaches_postgresql() -> None:
    """A NUL character, escaped as JSON has it, is left for PostgreSQL to refuse by row."""
    ours = (told(r'{"a": "x\u0000y"}'), told(r'[{"a": "x\u0000y"}, NaN]'))

    assert ({"a": "x\0y"}, [{"a": "x\0y"}, "NaN"]) == ours


@pytest.mark.parametrize("text", [r'"\ud83d\ude00"', r'"\u00e9"', '"😀"', r'"\\u0000"', r'"\""'])
@pytest.mark.parametrize("beside", ["1", "NaN"])
def test_escapes_are_kept(text: str, beside: str) -> None:
    """Characters mean the same escaped or plain, whichever reader meets them."""
    ours = told(f"[{text}, {beside}]")

    assert json.loads(text) == ours[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"[[]]",
        b"[[], {}] and more",
        b"[{}, []]",
        b"[[], [], {}]",
        b"\xef\xbb\xbf[[], {}]",
        b"[[tru], {}]",
        b"[[01], {}]",
        b'[["a\nb"], {}]',
        b'[["\x00"], {}]',
        b'[["\xff"], {}]',
        '[["ä"], {}]'.encode("latin-1"),
        '[["ä"], {}]'.encode("utf-16"),
        rb'[["\x41"], {}]',
        rb'[["\u00"], {}]',
        b"\x80\x04pickle",
        b"[[" + b"[" * 100_000 + b"]" * 100_000 + b"], {}]",
        b"[[NaN, " + b"[" * 100_000 + b"]" * 100_000 + b"], {}]",
        b'[[{"__type__": "complex", "__value__": "1j"}], {}]',
        b'[[{"__type__": 5, "__value__": "1j"}], {}]',
        b'[[{"__type__": ["date"], "__value__": "2024-01-01"}], {}]',
        b'[[{"__type__": "decimal", "__value__": "ten"}], {}]',
        b'[[{"__type__": "decimal", "__value__": null}], {}]',
        b'[[{"__type__": "uuid", "__value__": {"hex": "5"}}], {}]',
        b'[[{"__type__": "uuid", "__value__": {"hexa": "5"}}], {}]',
        b'[[{"__type__": "uuid", "__value__": "5"}], {}]',
        b'[[{"__type__": "base64", "__value__": "%%%"}], {}]',
        b'[[{"__type__": "date", "__value__": 20240101}], {}]',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_unreadable_body_is_refused(body: bytes) -> None:
    """What is no body, or what kombu would not read either, is refused and says what one is."""
    with pytest.raises(BadPayload, match=r"^body must be JSON \[args, kwargs, embed\]: "):
        read_body(body)


def test_unreadable_typed_value_is_named() -> None:
    """What a value of kombu's form says, and what it was to be, stands in the reason."""
    with pytest.raises(BadPayload, match=r"'ten' is no decimal$"):
        read_body(b'[[{"__type__": "decimal", "__value__": "ten"}], {}]')


@pytest.mark.parametrize("body", [b"[[], {}]", b"[[], {}, null]", b"[[], {}, {}]"])
def test_missing_canvas_is_none(body: bytes) -> None:
    """Producers that write no canvas ask for none."""
    canvas = read_body(body).canvas

    assert [] == (canvas.names() if canvas else [])


def test_canvas_is_named_in_celerys_words() -> None:
    """What should follow the task is told by the names that producers use for it."""
    embed = {"callbacks": [{}], "errbacks": [{}], "chain": [{}], "chord": {"task": "x"}}

    canvas = read_body(f"[[], {{}}, {json.dumps(embed)}]".encode()).canvas

    assert canvas is not None
    assert ["link", "link_error", "chain", "chord"] == canvas.names()


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | text
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.times()
    | st.uuids()
    | st.binary(max_size=8)
)
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


@given(nested)
def test_any_value_means_the_same(value: Any) -> None:
    """Whatever kombu can write says the same to us as it says to kombu."""
    written = kombu_json.dumps(value)

    ours = told(written)

    assert meant(kombu_json.loads(written)) == ours
