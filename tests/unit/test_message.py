"""The message is Celery's own, the ids are RFC 9562's, the values are kombu's."""

import base64
import json
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from celeriac.message import Message, new_id, uuid7, write_body, write_message
from celeriac.values import decode, encode

EXACT = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.times()
    | st.uuids()
    | st.binary()
)
ROWS = st.lists(st.dictionaries(st.text(), EXACT | st.lists(EXACT, max_size=3), max_size=4))


def message(**changes: Any) -> Message:
    """Make a message, with changes."""
    fields: dict[str, Any] = {
        "id": "a-job",
        "task": "celeriac.ingest",
        "queue": "celeriac.ingest",
        "body": write_body("{}"),
        "description": "flights · 2 rows",
        "track": True,
        "reply_to": "somebody",
    }
    return Message(**(fields | changes))


def test_uuid7_is_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6: time, version, variant and random bits lie as it shows."""
    found = uuid7(0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F)

    assert "017f22e2-79b0-7cc3-98c4-dc0c0c07398f" == found


def test_new_ids_are_unique_uuid7_that_sort_by_time() -> None:
    """Ids made one after the other are version 7, all different, and rise with the clock."""
    ids = [new_id() for _ in range(2_000)]

    times = [uuid.UUID(job_id).int >> 80 for job_id in ids]
    assert {7} == {uuid.UUID(job_id).version for job_id in ids}
    assert len(ids) == len(set(ids))
    assert sorted(times) == times


@given(ROWS)
def test_values_are_written_as_kombu_writes_them(rows: list[dict[str, object]]) -> None:
    """Every value has the text that kombu gives it, and is read back by kombu and by us."""
    text = encode(rows)

    assert kombu_json.dumps(rows) == text
    assert kombu_json.loads(text) == decode(text)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.10"),
        datetime(2024, 5, 1, 12, 30),
        date(2024, 5, 1),
        time(12, 30),
        uuid.UUID(int=7),
        b"plain",
        b"\xff\x00",
        12345678901234567890123,
    ],
)
def test_values_arrive_exactly(value: object) -> None:
    """What a worker decodes has the type and the value that the producer sent."""
    found = kombu_json.loads(encode(value))

    assert (type(value), value) == (type(found), found)


def test_not_a_number_is_written_bare() -> None:
    """NaN and the infinities stand in the text as Python's json writes them."""
    assert "[NaN, Infinity, -Infinity]" == encode([float("nan"), float("inf"), -float("inf")])


def test_a_marked_value_of_unknown_type_stays_as_it_is() -> None:
    """A result that holds a type of somebody else is read, not refused."""
    assert {"__type__": "money", "__value__": 1} == decode('{"__type__":"money","__value__":1}')


def test_body_is_protocol_two() -> None:
    """The body holds positional arguments, keyword arguments and an empty canvas."""
    envelope = json.loads(write_message(message(body=write_body('{"target": "flights"}'))))

    body = json.loads(base64.b64decode(envelope["body"]))
    canvas = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    assert [[], {"target": "flights"}, canvas] == body


def test_untracked_jobs_ask_for_no_result() -> None:
    """The header that Celery obeys says so."""
    envelope = json.loads(write_message(message(track=False)))

    assert envelope["headers"]["ignore_result"] is True


def test_descriptions_are_short() -> None:
    """A target with a long name does not swell each message and event."""
    envelope = json.loads(write_message(message(description="x" * 1_000)))

    assert 120 == len(envelope["headers"]["kwargsrepr"])
