"""The entries of a target: read whole, or every mistake told with its value and remedy."""

from typing import Any

import pytest

from postgres.insert_rows import OnConflict
from tasks.target import ColumnRule, MaxBad, OnBadRow, Target, too_many_bad
from tasks.target_entries import read_target

TABLE = {"table": "shop.orders"}
UPDATE = {**TABLE, "key": ["id"], "on_conflict": "update"}


def test_every_entry_is_read() -> None:
    """What each entry says is found again in the target."""
    target, mistakes = read_target(
        "orders",
        {
            **UPDATE,
            "newest": "changed_at",
            "unknown": "rest",
            "columns": {
                "id": {"from": "order_id"},
                "currency": {"default": "EUR"},
                "source": {"constant": ["web", 1]},
            },
            "timezone": "Europe/Berlin",
            "provenance": {"job": "job_id", "batch": "batch"},
            "max_bad": {"rows": 10, "share": 0.5},
        },
    )

    assert [] == mistakes
    expected = Target(
        name="orders",
        schema="shop",
        table="orders",
        key=("id",),
        on_conflict=OnConflict.UPDATE,
        newest="changed_at",
        unknown_column="rest",
        columns=(
            ColumnRule("id", "order_id"),
            ColumnRule("currency", "currency", '"EUR"'),
            ColumnRule("source", None, None, '["web",1]'),
        ),
        timezone="Europe/Berlin",
        job_column="job_id",
        batch_column="batch",
        max_bad=MaxBad(10, 0.5),
    )
    assert expected == target


@pytest.mark.parametrize(
    ("entries", "field", "value"),
    [
        ({"unknown": "reject"}, "unknown_column", None),
        ({"unknown": "ignore"}, "ignores_unknown", True),
        ({"on_bad_row": "reject_job"}, "on_bad_row", OnBadRow.REJECT_JOB),
        ({"max_bad": 5}, "max_bad", MaxBad(rows=5)),
        ({"max_bad": 0}, "max_bad", MaxBad(rows=0)),
        ({"max_bad": {"share": 0}}, "max_bad", MaxBad(share=0.0)),
        ({"provenance": {"batch": "b"}}, "batch_column", "b"),
        ({"key": ["a%b", 'c"d']}, "key", ("a%b", 'c"d')),
    ],
)
def test_short_forms(entries: dict[str, Any], field: str, value: object) -> None:
    """Entries with more than one form mean what they say."""
    target, mistakes = read_target("orders", {**TABLE, **entries})

    assert [] == mistakes
    assert value == getattr(target, field)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (5, ["5", "no section", "[orders]"]),
        ({}, ["`table`", "schema.name"]),
        ({"table": "a.b.c"}, ["table = 'a.b.c'", "schema.name"]),
        ({"table": 5}, ["table = 5", "str"]),
        ({**TABLE, "key": "id"}, ["key = 'id'", "array"]),
        ({**TABLE, "key": ["id", "id"]}, ["key", "different columns"]),
        ({**TABLE, "key": [""]}, ["key", "different columns"]),
        ({**TABLE, "on_conflict": "replace"}, ["'replace'", "'error', 'ignore', 'update'"]),
        ({**TABLE, "on_conflict": 5}, ["on_conflict = 5", "'ignore'"]),
        ({**TABLE, "on_conflict": "ignore"}, ["'ignore'", "needs a key", "key ="]),
        ({**TABLE, "on_conflicts": "error"}, ["on_conflicts", "did you mean on_conflict"]),
        ({**TABLE, "zzz": 1}, ["zzz = 1", "no such entry", "on_bad_row"]),
        ({**TABLE, "newest": "at"}, ["newest = 'at'", 'on_conflict = "update"']),
        ({**UPDATE, "newest": "id"}, ["newest = 'id'", "part of the key"]),
        ({**UPDATE, "newest": ""}, ["newest = ''", "column"]),
        ({**TABLE, "unknown": 5}, ["unknown = 5"]),
        ({**UPDATE, "unknown": "id"}, ["unknown = 'id'", "part of the key"]),
        ({**TABLE, "columns": {"a": {}}}, ["a:", "from, default or both", "constant"]),
        ({**TABLE, "columns": {"a": {"constant": 1, "default": 2}}}, ["a:", "constant alone"]),
        ({**TABLE, "columns": {"a": {"form": "b"}}}, ["a:", "`form`"]),
        ({**TABLE, "columns": {"a": "b"}}, ["a:", "object"]),
        ({**TABLE, "columns": {"a": {"from": ""}}}, ["a:", "a character"]),
        ({**TABLE, "columns": {"a": {"default": float("nan")}}}, ["a:", "nan", "as text"]),
        (
            {**TABLE, "columns": {"a": {"from": "x"}, "b": {"from": "x"}}},
            ["from = 'x'", "several columns"],
        ),
        ({**TABLE, "timezone": "Europe/Berlni"}, ["'Europe/Berlni'", "did you mean"]),
        ({**TABLE, "timezone": 5}, ["timezone = 5"]),
        ({**TABLE, "provenance": {}}, ["provenance", "job", "batch"]),
        ({**TABLE, "provenance": {"job": "a", "batch": "a"}}, ["different columns"]),
        ({**TABLE, "provenance": {"user": "a"}}, ["provenance", "`user`"]),
        ({**TABLE, "on_bad_row": "skip"}, ["'skip'", "'quarantine', 'reject_job'"]),
        ({**TABLE, "max_bad": -1}, ["max_bad = -1", "0 or more"]),
        ({**TABLE, "max_bad": True}, ["max_bad = True"]),
        ({**TABLE, "max_bad": {"share": 1.0}}, ["share", "below 1"]),
        ({**TABLE, "max_bad": {}}, ["rows, share or both"]),
        ({**TABLE, "max_bad": 5, "on_bad_row": "reject_job"}, ["max_bad", "reject_job"]),
        (
            {**TABLE, "unknown": "a", "provenance": {"job": "a"}},
            ["unknown and provenance", "'a'", "one of them"],
        ),
        (
            {**UPDATE, "newest": "a", "columns": {"a": {"constant": 1}}},
            ["newest = 'a'", "not brought"],
        ),
    ],
)
def test_a_mistake_is_named(declared: Any, words: list[str]) -> None:
    """One mistake makes one sentence with the entry, the value and what to write instead."""
    target, mistakes = read_target("orders", declared)

    assert (None, 1) == (target, len(mistakes))
    assert [] == [word for word in words if word not in mistakes[0]]


@pytest.mark.parametrize("name", ["", "*", "a,b"])
def test_names_that_mean_something_else(name: str) -> None:
    """A target cannot be called what jobs write for several targets."""
    target, mistakes = read_target(name, TABLE)

    assert (None, 1) == (target, len(mistakes))
    assert repr(name) in mistakes[0]


def test_all_mistakes_of_an_entry_are_told() -> None:
    """The first mistake does not hide the others."""
    _, mistakes = read_target("orders", {"key": "id", "max_bad": -1, "tabel": "t", "unknown": 1})

    told = ["`table`", "key", "max_bad", "tabel", "unknown"]
    assert [] == [word for word in told if not any(word in one for one in mistakes)]
    assert len(told) == len(mistakes)


@pytest.mark.parametrize(
    ("most", "bad", "rows", "expected"),
    [
        (None, 100, 100, False),
        (MaxBad(rows=2), 2, 10, False),
        (MaxBad(rows=2), 3, 10, True),
        (MaxBad(rows=0), 0, 10, False),
        (MaxBad(rows=0), 1, 10, True),
        (MaxBad(share=0.1), 1, 10, False),
        (MaxBad(share=0.1), 2, 10, True),
        (MaxBad(rows=5, share=0.1), 2, 10, True),
        (MaxBad(rows=5, share=0.5), 6, 100, True),
    ],
)
def test_limit_of_bad_rows(most: MaxBad | None, bad: int, rows: int, expected: bool) -> None:
    """Each limit counts by itself, and what is exactly at it is allowed."""
    assert expected == too_many_bad(most, bad, rows)
