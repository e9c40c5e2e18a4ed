"""Values from a stock Celery producer arrive in PostgreSQL as they were sent."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.acceptance.site import TASK, Site
from tests.workers import Worker

pytestmark = pytest.mark.usefixtures("worker")

NAIVE = datetime(2024, 5, 1, 12, 30, 0, 1)
VALUES: list[tuple[str, Any, str | None]] = [
    ("day", date(2024, 2, 29), "2024-02-29"),
    ("at", datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "2024-05-01 12:30:00+00"),
    (
        "at",
        datetime(2024, 5, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2))),
        "2024-05-01 10:30:00.123456+00",
    ),
    ("local", NAIVE, "2024-05-01 12:30:00.000001"),
    ("clock", time(23, 59, 59), "23:59:59"),
    ("amount", Decimal("12345678901234567.89"), "12345678901234567.89"),
    ("amount", Decimal("1.10"), "1.10"),
    ("amount", Decimal("NaN"), "NaN"),
    ("amount", Decimal("1E+3"), "1000"),
    ("whole", 10**40 + 1, "1" + "0" * 39 + "1"),
    ("ratio", math.nan, "NaN"),
    ("ratio", -math.inf, "-Infinity"),
    ("ratio", 0.1, "0.1"),
    ("uid", UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ("raw", b"\xff\x00", "\\xff00"),
    ("raw", b"abc", "\\x616263"),
    ("note", 'Zürich → 🚲 "\\ \n\t', 'Zürich → 🚲 "\\ \n\t'),
    ("note", None, None),
    ("extra", {"price": Decimal("1.10"), "days": [date(2024, 5, 1)]}, None),
]


@pytest.mark.parametrize(("column", "value", "expected"), VALUES)
def test_value_arrives_exactly(site: Site, column: str, value: Any, expected: str | None) -> None:
    """A value in kombu's own form, or bare NaN, becomes the same value of the column's type."""
    job = f"{column}-{value!r}"

    site.send(job, "value", [{"job": job, column: value}])

    site.wait_for_state(job, "committed")
    query = f"SELECT {column}::text FROM shop.value WHERE job = %s"
    if column == "extra":
        expected = '{"days": ["2024-05-01"], "price": 1.10}'
    assert [(expected,)] == site.query(query, (job,))


def test_positional_arguments(site: Site) -> None:
    """Arguments may be passed by position, in the order of the contract."""
    result = site.send_task(TASK, args=["alpha", [{"n": 1}]], task_id="positional")

    assert {"rows": 1, "inserted": 1, "quarantined": 0} == result.get(timeout=60)


@pytest.mark.parametrize("id_", ["1", "Zürich / 2024 → #1?", "'; DROP TABLE job --", "x" * 200])
def test_any_string_is_an_id(site: Site, id_: str) -> None:
    """Any string of up to 200 characters names a job in result and ledger."""
    result = site.send(id_, "alpha", [{"n": 1}])

    assert {"rows": 1, "inserted": 1, "quarantined": 0} == result.get(timeout=60)
    assert {id_: "committed"} == site.states(id_)


@pytest.mark.parametrize("id_", ["x" * 201, "nul\0"])
def test_id_that_cannot_be_stored(site: Site, id_: str) -> None:
    """An id that PostgreSQL cannot keep buries its job under another, and says so."""
    result = site.send(id_, "alpha", [{"n": 666}])

    site.wait_until_settled()
    found = site.query("SELECT error FROM celeriac.job WHERE id LIKE 'unusable-id-%%'")
    assert any(repr(id_[:200]).strip("'")[:5] in error for (error,) in found)
    assert [] == site.query("SELECT 1 FROM shop.alpha WHERE n = 666")
    assert "FAILURE" == result.state


def test_older_protocol(site: Site, worker: Worker) -> None:
    """A message of Celery's protocol 1 commits like one of protocol 2."""
    message = {
        "body": '{"task": "celeriac.ingest", "id": "old", "args": ["alpha"], '
        '"kwargs": {"rows": [{"n": 1, "note": "old"}]}}',
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": "celeriac.ingest"},
            "delivery_tag": "old-tag",
        },
    }

    site.push(message)

    site.wait_for_state("old", "committed")
    assert [("old",)] == site.query("SELECT note FROM shop.alpha WHERE note = 'old'")
