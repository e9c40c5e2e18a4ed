"""Rows come in the forms in which applications have them, and leave as objects."""

import base64
import json
import sqlite3
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest

from celeriac import BadPayload
from celeriac.bulk import Bulk, Summary
from celeriac.contract import MAX_BODY_BYTES, SEVERAL_TARGETS
from celeriac.cut import Cut
from celeriac.errors import BrokerUnavailable, BulkUnfinished, QueueFull
from celeriac.jobs import Job, ingest_job, report_job
from celeriac.jsonb import jsonb_text
from celeriac.message import Form, Message
from celeriac.queues import Room
from celeriac.rows import take_rows
from celeriac.steps import Ask, Plan, Take
from celeriac.urls import Address
from celeriac.values import decode, encode


@dataclass
class Flight:
    """A row as a dataclass."""

    carrier: str
    delay: int | None = None


Named = namedtuple("Named", "carrier delay")


class Colour(Enum):
    """A plain enum."""

    RED = "red"


class Size(IntEnum):
    """An enum of numbers."""

    BIG = 9


def made(plan: Plan[Job]) -> Job:
    """Carry out a plan that asks for nothing."""
    try:
        while True:
            next(plan)
    except StopIteration as ended:
        job: Job = ended.value
        return job


def arguments(*given: Any, columns: Any = None) -> Any:
    """Return the arguments that a job of rows is sent with."""
    rows = given[1] if len(given) > 1 else ()
    return decode(made(ingest_job(given[0], rows, columns)).arguments)


def sqlite_row() -> sqlite3.Row:
    """Make a record of a driver: it has keys, and is no mapping."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row: sqlite3.Row = connection.execute("SELECT 'UA' AS carrier, 2 AS delay").fetchone()
    connection.close()
    return row


@pytest.mark.parametrize(
    "row",
    [
        {"carrier": "UA", "delay": 2},
        Flight("UA", 2),
        Named("UA", 2),
        sqlite_row(),
        pd.Series({"carrier": "UA", "delay": 2}),
    ],
    ids=["dict", "dataclass", "named tuple", "record", "series"],
)
def test_a_row_in_any_form_is_an_object(row: Any) -> None:
    """The same row, alone or among others, gives the same text in each form."""
    expected = {"target": "flights", "rows": [{"carrier": "UA", "delay": 2}]}

    assert expected == arguments("flights", row)
    assert expected == arguments("flights", [row])
    assert expected == arguments("flights", iter([row]))


def test_tuples_take_their_columns() -> None:
    """A sequence of values goes with the names that are given beside it."""
    found = arguments("flights", [("UA", 2), ["AA", None]], columns=["carrier", "delay"])

    assert [{"carrier": "UA", "delay": 2}, {"carrier": "AA", "delay": None}] == found["rows"]


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        ([("UA", 2)], None, r"row 1 must be an object, or columns must be given, got \('UA', 2\)"),
        ([("UA",)], ["a", "b"], "row 1 must have 2 values, got 1"),
        ([("UA", 2)], ["a", "a"], "columns must be different names"),
        ([("UA", 2)], "ab", "columns must be a list of names, got 'ab'"),
        ([("UA", 2)], [1, 2], "columns must be a list of names"),
        (Flight, None, "rows must be objects"),
        ([Flight], None, "row 1 must be an object"),
        ([{"a": complex(1)}], None, "row 1, column 'a' cannot be written as JSON"),
        ([{"a": np.timedelta64(1, "s")}], None, "a timedelta64 of numpy has no form in JSON"),
        ([{"a": np.array([1])}], None, "a ndarray of numpy has no form in JSON"),
        ([{"a": pd.NA}], None, "a NAType has no form in JSON"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), None, "columns must be different names"),
        (pd.DataFrame([[1]]), None, "columns must be a list of names"),
        (pd.DataFrame({"a": []}), None, "rows must be 1 to 10000, got 0"),
    ],
)
def test_rows_of_wrong_kinds_are_refused(rows: Any, columns: Any, words: str) -> None:
    """The words name the row, and what would do."""
    with pytest.raises(BadPayload, match=words):
        arguments("flights", rows, columns=columns)


def test_a_frame_brings_its_rows() -> None:
    """Values are Python's own, what pandas counts as missing is null, and times keep their zone."""
    frame = pd.DataFrame(
        {
            "name": ["a", None],
            "count": pd.array([7, None], dtype="Int64"),
            "ratio": [1.5, float("nan")],
            "at": pd.to_datetime(["2024-02-29T12:00:00.123456", None]),
            "zoned": pd.to_datetime(["2024-02-29T12:00:00Z", None]),
            "yes": [True, False],
            "kind": pd.Categorical(["x", None]),
        },
        index=[5, 5],
    )

    assert [
        {
            "name": "a",
            "count": 7,
            "ratio": 1.5,
            "at": datetime(2024, 2, 29, 12, 0, 0, 123456),
            "zoned": datetime(2024, 2, 29, 12, tzinfo=UTC),
            "yes": True,
            "kind": "x",
        },
        dict.fromkeys(["name", "count", "ratio", "at", "zoned"]) | {"yes": False, "kind": None},
    ] == arguments("flights", frame)["rows"]


def test_frames_among_rows_are_rows() -> None:
    """Chunks as ``read_sql_query`` gives them are taken one after the other."""
    frames = (pd.DataFrame({"a": [number, number]}) for number in range(2))

    assert [{"a": 0}, {"a": 0}, {"a": 1}, {"a": 1}] == take_rows(frames, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Colour.RED, '"red"'),
        (Size.BIG, "9"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (np.bool_(True), "true"),
        (np.datetime64("2024-02-29T12:00:00", "ns"), encode(datetime(2024, 2, 29, 12))),
        (np.datetime64("NaT"), "null"),
        (2**100, str(2**100)),
        ((1, 2), "[1, 2]"),
    ],
)
def test_values_beyond_json_have_a_form(value: Any, text: str) -> None:
    """Enums are their values, scalars of numpy the numbers that they are."""
    assert text == encode(value)


def test_several_targets_are_one_job() -> None:
    """Rows of several targets travel under a name for all, in one message."""
    job = made(ingest_job({"orders": {"id": 1}, "lines": [{"n": 1}, {"n": 2}]}, (), None))

    expected = {"orders": [{"id": 1}], "lines": [{"n": 1}, {"n": 2}]}
    assert {"target": SEVERAL_TARGETS, "rows": expected} == json.loads(job.arguments)
    assert ("lines, orders · 3 rows", ("orders", "lines")) == (job.description, job.targets)


@pytest.mark.parametrize(
    ("target", "rows", "words"),
    [
        ({}, (), "target must name one target or more"),
        ({"a": [{}]}, [{}], "rows must stand beside their targets"),
        ({"a": [{}], "b": []}, (), "target 'b', rows must be 1 to 9999, got 0"),
        ({"a": [{}], "b": [1]}, (), "target 'b', row 1 must be an object"),
        ({"a": [{}], "b,c": [{}]}, (), "target must be the name of one, without ','"),
        ("*", [{}], "target must be the name of one"),
        (7, [{}], "target must be text"),
    ],
)
def test_wrong_targets_are_refused(target: Any, rows: Any, words: str) -> None:
    """Each target of a job is checked as if it were alone."""
    with pytest.raises(BadPayload, match=words):
        arguments(target, rows)


@pytest.mark.parametrize("seconds", [-1, True, "1", float("nan")])
def test_a_freshness_that_is_no_time_is_refused(seconds: Any) -> None:
    """How old an answer may be is a number of seconds."""
    with pytest.raises(BadPayload, match="fresh_for must be a number of seconds from 0"):
        made(report_job("daily", None, None, seconds))


def test_jsonb_gets_what_it_can_keep() -> None:
    """Numbers that jsonb has no word for are marked; what it cannot keep is named."""
    text = encode({"rows": [{"a": [float("nan"), float("-inf")], "b": "NaN", "c": "\U0001f600"}]})

    found = decode(jsonb_text(text))["rows"][0]

    assert ["NaN", "-Infinity"] == [str(value) for value in found["a"]]
    assert ["NaN", "\U0001f600"] == [found["b"], found["c"]]
    for bad in ("\0", "\ud800"):
        with pytest.raises(BadPayload, match="arguments, 'rows', 1, 'a' holds a NUL character or"):
            jsonb_text(encode({"rows": [{"a": bad}]}))


def bulk(rows_per_job: int = 1, id_start: str | None = "x") -> Bulk:
    """Make a bulk whose jobs are x:1, x:2 …"""
    form = Form(Message("", "t", "q", "", "", track=False, reply_to=""))
    return Bulk(Cut("flights", None, rows_per_job), form, id_start, keeps_ids=True)


def run(plan: Plan[Summary], rows: list[Any], answers: list[Any]) -> Summary:
    """Carry out a bulk by hand: rows as they come, and answers of Redis, errors among them."""
    source = iter(rows)
    step = next(plan)
    try:
        while True:
            if isinstance(step, Take):
                step = plan.send(list(islice(source, step.most)))
            elif not isinstance(step, Ask):
                step = plan.send(None)
            elif isinstance(answer := answers.pop(0), Exception):
                step = plan.throw(answer)
            else:
                step = plan.send(answer)
    except StopIteration as ended:
        summary: Summary = ended.value
        return summary


@pytest.mark.parametrize(
    ("may_have_arrived", "unknown", "unsent"),
    [(True, ("x:251", "x:252"), ()), (False, (), ("x:251", "x:252"))],
)
def test_a_bulk_that_is_cut_says_what_arrived(
    may_have_arrived: bool, unknown: tuple[str, ...], unsent: tuple[str, ...]
) -> None:
    """Jobs before the loss are certain; those of the push under way are as certain as it was."""
    lost = BrokerUnavailable("gone", may_have_arrived=may_have_arrived)
    plan = bulk().send([], Address(), "q", None)

    with pytest.raises(BulkUnfinished, match="250 jobs with 250 rows were sent") as caught:
        run(plan, [{"a": 1}] * 252, [250, lost])

    assert (250, 250) == (caught.value.sent.jobs, caught.value.sent.rows)
    assert (unknown, unsent) == (caught.value.unknown, caught.value.unsent)
    assert may_have_arrived is caught.value.may_have_arrived


def test_a_bulk_that_finds_its_queue_full_counts_what_had_room() -> None:
    """Of a push that went in half, that half is counted."""
    plan = bulk().send([], Address(), "q", Room(100, "refuse", 1.0))

    with pytest.raises(QueueFull, match="100 jobs with 100 rows were sent") as caught:
        run(plan, [{"a": 1}] * 250, [[100, 0]])

    assert [f"x:{number}" for number in range(1, 101)] == caught.value.sent.ids


def test_a_bad_row_of_a_bulk_is_named_by_its_place() -> None:
    """The row is counted from the first of all, and what was sent before it is said."""
    plan = bulk().send([], Address(), "q", None)

    with pytest.raises(BadPayload, match="row 302 must be an object, got 7") as caught:
        run(plan, [{"a": 1}] * 301 + [7], [250])

    assert 250 == caught.value.sent.rows


def test_large_rows_make_smaller_jobs() -> None:
    """A job ends before the row that would make it too large, and all rows are sent."""
    row = {"a": "x" * (MAX_BODY_BYTES // 3)}
    plan = bulk(rows_per_job=10).send([], Address(), "q", None)

    summary = run(plan, [row] * 5, [1, 1, 1])

    assert (3, 5) == (summary.jobs, summary.rows)


def test_jobs_of_a_bulk_hold_their_rows_in_order() -> None:
    """The rest after the last full job is a job too."""
    plan = bulk(rows_per_job=2).send([], Address(), "q", None)
    pushes: list[Ask] = []
    rows = [{"n": number} for number in range(5)]
    step = next(plan)
    source = iter([rows, []])
    try:
        while True:
            pushes += [step] if isinstance(step, Ask) else []
            step = plan.send(next(source) if isinstance(step, Take) else None)
    except StopIteration:
        pass

    (push,) = pushes
    bodies = [
        json.loads(base64.b64decode(json.loads(bytes(raw))["body"]))[1]["rows"]  # type: ignore[arg-type]
        for raw in push.command[2:]
    ]
    assert [rows[:2], rows[2:4], rows[4:]] == bodies
