"""Clients refuse what workers would, and nothing else, from what workers published."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from celeriac.report_form import Asked, read_form
from celeriac.values import decode, encode
from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.reports.request import request_of
from tasks.reports.values import BadValue
from worker.publish import form_of

DECLARED = {
    "text": "type = 'text'\nmax_length = 3",
    "word": "type = 'enum'\nvalues = ['a', 'b']",
    "int": "type = 'int'\nmin = 1\nmax = 10",
    "bigint": "type = 'bigint'",
    "numeric": "type = 'numeric'\nmin = 0.5",
    "day": "type = 'date'\nmin = 2013-01-02",
    "time": "type = 'timestamptz'",
    "flag": "type = 'bool'",
    "id": "type = 'uuid'",
    "words": "type = 'enum[]'\nvalues = ['a', 'b']\nmax_length = 2",
    "ints": "type = 'int[]'\nmax = 10",
}


class Colour(StrEnum):
    """A value that JSON writes as text."""

    A = "a"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> DeclaredReport:
    """A report with a parameter of every type."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "reports").mkdir()
    params = "\n".join(f"[params.{name}]\n{toml}" for name, toml in DECLARED.items())
    used = ", ".join(f":{name}" for name in DECLARED)
    text = (
        f"/* celeriac\ntitle = 'a'\n{params}\n*/\n-- name: x\nSELECT {used};\n-- name: y\nSELECT 1"
    )
    (folder / "reports" / "all.sql").write_text(text)
    return load_reports(folder)["all"]


@pytest.mark.parametrize(
    ("name", "given", "is_told_early"),
    [
        ("text", "abc", None),
        ("text", "abcd", True),
        ("text", 5, True),
        ("text", "\0", False),
        ("word", "a", None),
        ("word", Colour.A, None),
        ("word", "c", True),
        ("int", 10, None),
        ("int", 11, True),
        ("int", 0, True),
        ("int", True, True),
        ("int", "5", True),
        ("int", 2**31, True),
        ("bigint", 2**63, True),
        ("bigint", -(2**63), None),
        ("numeric", Decimal("0.5"), None),
        ("numeric", "0.5", None),
        ("numeric", 0.4, False),
        ("numeric", [], True),
        ("day", date(2013, 1, 2), None),
        ("day", "2013-01-01", True),
        ("day", date(2013, 1, 1), True),
        ("day", datetime(2013, 1, 2, tzinfo=UTC), True),
        ("day", "2013-02-30", False),
        ("day", "20130130", True),
        ("time", datetime(2013, 1, 2, tzinfo=UTC), None),
        ("time", "2013-01-02", False),
        ("time", 5, True),
        ("flag", False, None),
        ("flag", 0, True),
        ("id", UUID(int=5), None),
        ("id", 5, True),
        ("words", ["a", "b"], None),
        ("words", ("a",), None),
        ("words", ["a", "c"], True),
        ("words", ["a", "b", "a"], True),
        ("words", "a", True),
        ("ints", [], None),
        ("ints", [11], True),
        ("ints", [None], True),
        ("ints", None, None),
        ("nothing", 5, True),
    ],
)
def test_clients_and_workers_agree(
    report: DeclaredReport, name: str, given: Any, is_told_early: bool | None
) -> None:
    """What the client refuses the worker would too; what it lets pass may still be refused."""
    form = read_form(json.loads(json.dumps(form_of(report))))
    assert form is not None
    sent = decode(encode({name: given}))

    early = form.mistake(Asked("all", {name: given}, None))
    late = None
    try:
        request_of({"all": report}, "all", sent, None)
    except BadValue as error:
        late = str(error)

    assert (bool(is_told_early), is_told_early is not None) == (early is not None, late is not None)
    assert early is None or early.split(" must")[0] == str(late).split(" must")[0]


def test_formats_are_checked(report: DeclaredReport) -> None:
    """A format that cannot hold all sections is refused with those that can."""
    form = read_form(form_of(report))

    assert form is not None
    assert "format must be one of html, xlsx, got 'csv'" == form.mistake(Asked("all", {}, "csv"))
    assert form.mistake(Asked("all", {}, "xlsx")) is None


@pytest.mark.parametrize("published", [None, [], {}, {"params": {"a": 1}, "formats": []}])
def test_what_is_not_known_is_no_form(published: object) -> None:
    """Workers of another version may publish what this one cannot read: then they judge."""
    assert read_form(published) is None


def test_types_of_later_versions_pass() -> None:
    """A type that this version has never heard of is left to the worker."""
    form = read_form({"params": {"a": {"type": "range"}, "b": {"type": "range[]"}}, "formats": []})

    assert form is not None
    assert form.mistake(Asked("all", {"a": 5, "b": [5]}, "pdf")) is None
