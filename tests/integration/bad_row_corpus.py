"""Rows that PostgreSQL refuses, one for each way in which a row can be wrong."""

import json
import random
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

#: Text that no index entry can hold and that does not compress.
LONG = "".join(random.Random(7).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=9_000))


@dataclass(frozen=True)
class Bad:
    """What is wrong in an otherwise good row, and by which code and column it is refused."""

    members: dict[str, Any]
    sqlstate: str
    column: str | None = None


CORPUS = {
    "no number": Bad({"amount": "dear"}, "22P02", "amount"),
    "empty text, no number": Bad({"amount": ""}, "22P02", "amount"),
    "NaN, no integer": Bad({"small": "NaN"}, "22P02", "small"),
    "a list, no number": Bad({"amount": [1]}, "22P02", "amount"),
    "no boolean": Bad({"flag": "maybe"}, "22P02", "flag"),
    "no uuid": Bad({"uid": "5"}, "22P02", "uid"),
    "no such mood": Bad({"mood": "grim"}, "22P02", "mood"),
    "bad element": Bad({"list": [1, "x"]}, "22P02", "list"),
    "bad array text": Bad({"list": "{1,x}"}, "22P02", "list"),
    "out of range": Bad({"small": 40_000}, "22003", "small"),
    "too many digits": Bad({"amount": 12345.678}, "22003", "amount"),
    "infinite amount": Bad({"amount": "Infinity"}, "22003", "amount"),
    "too large a float": Bad({"ratio": 1e300}, "22003", "ratio"),
    "no date": Bad({"day": "someday"}, "22007", "day"),
    "infinite time of day": Bad({"clock": "infinity"}, "22007", "clock"),
    "30th of February": Bad({"day": "2024-02-30"}, "22008", "day"),
    "far future": Bad({"at": "300000-01-01"}, "22008", "at"),
    "too long": Bad({"code": "abcdef"}, "22001", "code"),
    "too few bits": Bad({"bits": "10"}, "22026", "bits"),
    "range upside down": Bad({"span": "[5,1)"}, "22000", "span"),
    "NUL": Bad({"label": "a\0b"}, "22P05", "label"),
    "NUL inside json": Bad({"extra": {"a": ["\0"]}}, "22P05", "extra"),
    "half a pair": Bad({"label": "a\ud800b"}, "22P02", "label"),
    "NULL": Bad({"label": None}, "23502", "label"),
    "no parent": Bad({"parent": 404}, "23503"),
    "no parent, checked late": Bad({"customer": 404}, "23503"),
    "no pair": Bad({"region": "south", "branch": 1}, "23503"),
    "half a pair of keys": Bad({"region": "north", "branch": None}, "23503"),
    "taken code": Bad({"code": "taken"}, "23505"),
    "taken in an index of an expression": Bad({"label": "Only ONE"}, "23505"),
    "CHECK": Bad({"amount": -1}, "23514"),
    "CHECK with percent signs": Bad({"amount": 1.13}, "23514"),
    "CHECK not validated": Bad({"small": 13}, "23514"),
    "CHECK of a domain": Bad({"percent": 101}, "23514", "percent"),
    "function of a domain": Bad({"even": 3}, "22023", "even"),
    "exclusion": Bad({"slot": "[2024-01-05, 2024-01-06)"}, "23P01"),
    "index entry too large": Bad({"long": LONG}, "54000"),
    "generated column": Bad({"doubled": 1}, "428C9"),
    "identity column": Bad({"serial": 1}, "428C9"),
    **{
        f"trigger raises {code}": Bad({"label": f"raise {code}"}, code)
        for code in ("P0001", "21000", "22012", "22021", "54001", "2200H")
    },
}

#: Odd, and yet good.
GOOD: list[dict[str, Any]] = [
    {},
    {"label": "", "code": None},
    {"ratio": "NaN", "day": "infinity", "at": "-infinity"},
    {"ratio": "-Infinity", "amount": "NaN"},
    {"extra": json.loads("[" * 500 + "]" * 500), "document": {"a": 1}},
    {"list": [1, None, 3], "span": "[1,5)", "mood": "sad", "percent": 100, "even": 2},
    {"region": "north", "branch": 1, "customer": 1, "parent": 0},
    {"region": None, "branch": None, "bits": "101", "flag": True},
]


def row(number: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Return a row that is good but for these changes."""
    return {"id": number, "label": f"row {number}"} | changes


def reason_of(cursor: extensions.cursor, one: dict[str, Any]) -> tuple[str | None, str | None]:
    """Ask PostgreSQL itself what is wrong with a row: insert it alone, and undo that."""
    insert = sql.SQL(
        "SAVEPOINT alone; INSERT INTO corpus.thing ({0}) SELECT {0} FROM"
        " jsonb_populate_record(NULL::corpus.thing, %s::jsonb); SET CONSTRAINTS ALL IMMEDIATE"
    ).format(sql.SQL(", ").join(map(sql.Identifier, one)))
    try:
        cursor.execute(insert, (json.dumps(one),))
    except psycopg2.Error as error:
        cursor.execute("ROLLBACK TO SAVEPOINT alone")
        return error.pgcode, error.diag.message_primary
    raise AssertionError(f"PostgreSQL took {one}")
