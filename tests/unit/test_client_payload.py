"""Jobs and settings that can never work are refused before anything is sent."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pandas as pd
import pytest

from celeriac import BadPayload, BadSetting, CeleriacError, Client
from celeriac.catalog import read_catalog
from celeriac.contract import FILE_FORMATS, FILE_OPTIONS, MAX_BODY_BYTES, MAX_ROWS
from celeriac.payload import check_rows
from celeriac.result import Result, read_result, words_of
from celeriac.urls import Address, parse_url
from tasks.files.options import FileOptions, Format

#: Nothing listens there: a check that came too late would fail otherwise.
NOWHERE = "unix:///nowhere/redis.sock"


def deep(levels: int) -> list[Any]:
    """Nest lists deeper than Python recurses."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "rows must be 1 to 10000, got 0"),
        ([{}] * (MAX_ROWS + 1), "rows must be 1 to 10000, got 10001"),
        ("flights", "rows must be objects, got 'flights'"),
        (7, "rows must be objects, got 7"),
        ([{"a": 1}, [1]], r"row 2 must be an object, got \[1\]"),
        ([{"a": 1}, {2: 1}], "row 2 must have keys of text, got 2"),
        ([{"a": 1}, {"b": object()}], "row 2, column 'b' cannot be written as JSON, got <object"),
        ([{"a": deep(100_000)}], "row 1, column 'a' cannot be written as JSON"),
        ([{"a": 10**5_000}], "row 1, column 'a' cannot be written as JSON"),
        ([{"a": pd.NaT}], "row 1, column 'a' cannot be written as JSON, got NaT: not a time"),
        ([{"a": {"__type__": "x", "__value__": 1}}], "row 1, column 'a' must not be an object of"),
        ([{"__type__": "x", "__value__": 1}], "row 1 must not be an object of '__type__'"),
        ([{"a": "x" * MAX_BODY_BYTES}], "body must be at most 8388608 bytes, got 8388"),
    ],
)
def test_bad_rows_are_refused(rows: Any, words: str) -> None:
    """The words name the row, the column, the value and the limit."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        client.ingest("flights", rows)


@pytest.mark.parametrize(
    ("job_id", "words"),
    [
        ("", "id must have 1 to 200 characters, got 0"),
        ("x" * 201, "id must have 1 to 200 characters, got 201"),
        ("a\0b", r"id must have printable characters only, got 'a\\x00b'"),
        ("a\ud800", "id must have printable characters only"),
        (7, "id must be text, got 7"),
    ],
)
def test_bad_ids_are_refused(job_id: Any, words: str) -> None:
    """An id that could be no key and no text of PostgreSQL goes nowhere."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        client.ingest("flights", {"a": 1}, id=job_id)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": ""}, "name must be text of 1 character or more, got ''"),
        ({"name": None}, "name must be text of 1 character or more, got None"),
        ({"name": "daily", "params": [1]}, r"params must be an object, got \[1\]"),
        ({"name": "daily", "params": {1: 2}}, "params must have keys of text, got 1"),
        ({"name": "daily", "format": 3}, "format must be text of 1 character or more, got 3"),
    ],
)
def test_bad_reports_are_refused(arguments: dict[str, Any], words: str) -> None:
    """A report's name, parameters and format are checked for their types."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        client.report(**arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("flights", "a\0.csv"), r"url must be text without NUL characters, got 'a\\x00.csv'"),
        (("flights", "a", "xls"), "format must be one of csv, jsonl, parquet, got 'xls'"),
        (("flights", "a.csv", None, {"nope": 1}), "options of a file are compression, .*'nope'"),
        (("flights", "a.csv", None, []), r"options must be an object, got \[\]"),
    ],
)
def test_bad_file_jobs_are_refused(arguments: tuple[Any, ...], words: str) -> None:
    """What no worker could read is refused here: place, format, and the names of options."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        client.ingest_file(*arguments)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda client, name: client.ingest(name, {"a": 1}), "target"),
        (lambda client, name: client.ingest({name: [{"a": 1}]}), "target"),
        (lambda client, name: client.ingest_file("flights", name), "url"),
        (lambda client, name: client.report(name), "name"),
        (lambda client, name: client.report("daily", after=name), "after"),
        (lambda client, name: client.enqueue(name, {}), "task"),
        (lambda client, name: client.enqueue("mine", {}, queue=name), "queue"),
        (lambda client, name: client.depth(name), "queue"),
    ],
)
def test_names_hold_no_nul(call: Any, field: str) -> None:
    """No name is one of the marks that stand in a message's form until it is written."""
    words = rf"{field} must be text without NUL characters, got '\\x00id'"
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        call(client, "\0id")


@pytest.mark.parametrize(
    "call",
    [
        lambda client, taken: client.ingest("flights", {"a": 1}, id=taken),
        lambda client, taken: client.group(id=taken),
        lambda client, taken: client.group().ingest("flights", {"a": 1}, id=taken),
    ],
)
def test_ids_of_replays_are_for_replays(call: Any) -> None:
    """No new job takes such an id, in a group neither."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match="as those of replays do"):
        call(client, "celeriac.replay-7")


def test_files_are_said_to_be_what_workers_read() -> None:
    """Formats and options of the contract are those that workers know."""
    options = [one.name for one in msgspec.structs.fields(FileOptions) if one.name != "format"]

    assert [one.value for one in Format] == list(FILE_FORMATS)
    assert options == list(FILE_OPTIONS)


@pytest.mark.parametrize(
    "rows", [{"a": 1}, [{"a": 1}], ({"a": 1} for _ in "x"), MappingProxyType({"a": 1})]
)
def test_rows_may_come_as_one_as_many_or_as_they_are_made(rows: Any) -> None:
    """One object, a list, a generator and a read-only object are all rows."""
    assert [{"a": 1}] == check_rows(rows)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", Address()),
        ("redis://h:7/3", Address("h", 7, db=3)),
        ("redis://:p%40@[::1]/", Address("::1", password="p@")),
        ("redis://u:p@h?virtual_host=4", Address("h", db=4, username="u", password="p")),
        ("rediss://h/1?ssl_cert_reqs=none", Address("h", db=1, tls=True)),
        ("unix:///run/r.sock?db=2", Address(path="/run/r.sock", db=2)),
        ("redis+socket:///run/r.sock?virtual_host=2", Address(path="/run/r.sock", db=2)),
        ("redis+socket://:p@/run/r.sock", Address(path="/run/r.sock", password="p")),
    ],
)
def test_urls_of_both_kinds_are_read(url: str, address: Address) -> None:
    """What redis-py and Celery write means the same server, database and user."""
    found = parse_url(url)

    assert [str(address), address.username, address.password] == [
        str(found),
        found.username,
        found.password,
    ]


@pytest.mark.parametrize(
    "url",
    [
        "amqp://u:secret@h",
        "redis://u:se#cret@h",
        "redis://secret:h:secret",
        "redis://u:secret@h/x",
        "redis://u:secret@h?socket_timeout=9",
        "redis://[secret",
        "unix://host/path",
        "unix://",
        7,
    ],
)
def test_bad_urls_are_refused_without_repeating_secrets(url: Any) -> None:
    """No message, and no error behind it, holds a piece of the password."""
    with pytest.raises(BadSetting) as caught:
        Client(url)

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_never_ends_is_refused(timeout: float) -> None:
    """A call without a deadline cannot be asked for."""
    with pytest.raises(BadSetting, match="timeout must be a number of seconds above 0"):
        Client(NOWHERE, timeout=timeout)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("SUCCESS", "committed"),
        ("FAILURE", "dead"),
        ("REVOKED", "cancelled"),
        ("RETRY", "held"),
        ("STARTED", "running"),
        ("PENDING", "unknown"),
    ],
)
def test_celery_states_are_ours(status: str, state: str) -> None:
    """Each state that Celery's backend writes is one of ours."""
    assert state == read_result(f'{{"status": "{status}", "result": null}}').state


def test_no_result_is_unknown() -> None:
    """A key that is not there says nothing of the job."""
    assert Result(read_result(None).state) == read_result(None)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"exc_type": "ValueError", "exc_message": ["no such", "row"]}, "no such, row"),
        ({"exc_type": "Buried", "exc_message": "bad row"}, "bad row"),
        ({"exc_type": "KeyError", "exc_message": []}, "KeyError"),
        (None, "None"),
    ],
)
def test_words_of_a_failure(stored: Mapping[str, Any] | None, words: str) -> None:
    """A stored exception is told in the words it was raised with."""
    assert words == words_of(stored)


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[]", b'{"targets": 1, "reports": []}'])
def test_an_unreadable_catalog_is_none(raw: bytes | None) -> None:
    """What is no catalog does not stop a producer."""
    assert read_catalog(raw) is None


def test_every_error_has_one_base() -> None:
    """A caller catches all of the client's errors by one name."""
    assert issubclass(BadPayload, CeleriacError)
    assert issubclass(BadSetting, CeleriacError)
