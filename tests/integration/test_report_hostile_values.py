"""Values that mean harm, followed into the statement that reaches PostgreSQL."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from postgres.pool import Pool, PoolLimits
from postgres.snapshot import pin, snapshot
from tasks.reports.answer import Rows
from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.reports.request import request_of
from tasks.reports.sections import sections
from tasks.reports.values import BadValue

HOSTILE = (
    "'; DROP TABLE victim; --",
    "\\'; SELECT 1; --",
    "') OR (1 = 1",
    "*/ $$ $x$ /* -- ",
    ":given ::int %s %(given)s {0} {query}",
    "E'\\047",
    '"}\',{"',
    "\u02bc\u2019\uff07\u00a0\u2028",
)
TYPES = ("text", "int", "bigint", "numeric", "date", "timestamptz", "bool", "uuid", "enum")
#: What each type takes, at its worst.
GOOD: dict[str, Any] = {
    "int": -(2**31),
    "bigint": -(2**63),
    "numeric": "-1E-5",
    "date": "0001-01-01",
    "timestamptz": "9999-12-31T23:59:59.999999-12:00",
    "bool": False,
    "uuid": "{0198f3a2-7c1e-7000-8000-00000000000A}",
}
#: The statement tells, beside the value, in which words it reached the server.
QUERY = """SELECT :given AS given, pg_typeof(:given) AS type,
       (SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS sent"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DeclaredReport]:
    """A report for each type, and one for arrays of it."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "reports").mkdir()
    for type_ in TYPES:
        for name, end in ((f"one_{type_}", ""), (f"many_{type_}", "[]")):
            params = f"[params.given]\ntype = '{type_}{end}'{_values(type_)}"
            text = f"/* celeriac\ntitle = 'a'\nformat = 'csv'\nmax_rows = 5\n{params}\n*/\n{QUERY}"
            (folder / "reports" / f"{name}.sql").write_text(text)
    return load_reports(folder)


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    """Connections to a database in which nothing needs to be."""
    with closing(Pool(database, PoolLimits(size=1))) as pool:
        yield pool


def _values(type_: str) -> str:
    if type_ != "enum":
        return ""
    # The end of a comment would end the declaration itself.
    return "\nvalues = " + json.dumps(HOSTILE).replace("*/", "\\u002a/")


def ask(pool: Pool, reports: dict[str, DeclaredReport], name: str, given: Any) -> dict[str, str]:
    """Return the one row that a report gives."""
    request = request_of(reports, name, {"given": given}, None)
    file = io.BytesIO()
    with snapshot(pool) as reader:
        pin(reader, 10)
        for section in sections(request, reader):
            assert isinstance(section, Rows)
            section.source.copy_csv(file)
    (row,) = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    return row


def literal(text: str) -> str:
    """Write a text as SQL's standard has it: nothing but its quotes is special."""
    return "'" + text.replace("'", "''") + "'"


def test_every_type_reaches_the_server_as_one_literal(
    pool: Pool, reports: dict[str, DeclaredReport]
) -> None:
    """What the server got is the declared query with typed literals, whatever was sent."""
    cases = [(type_, given) for type_ in ("text", "enum") for given in HOSTILE]
    cases += list(GOOD.items())

    for type_, given in cases:
        request = request_of(reports, f"one_{type_}", {"given": given}, None)
        value = request.values["given"]
        row = ask(pool, reports, f"one_{type_}", given)
        many = ask(pool, reports, f"many_{type_}", [given, given])

        cast = "text" if type_ == "enum" else type_
        assert value.text is not None
        assert QUERY.replace(":given", f"({literal(value.text)}::{cast})") in row["sent"]
        if cast == "text":
            assert given == row["given"]
            array = '{"' + '","'.join([given.replace("\\", "\\\\").replace('"', '\\"')] * 2) + '"}'
            assert QUERY.replace(":given", f"({literal(array)}::text[])") in many["sent"]
        assert many["given"].count(row["given"].replace("\\", "\\\\").replace('"', '\\"')) == 2
        assert many["type"] == f"{row['type']}[]"


def test_other_types_take_no_words(reports: dict[str, DeclaredReport]) -> None:
    """A value that could say anything passes as text alone, in a list or not."""
    for type_ in set(TYPES) - {"text", "enum"}:
        for given in HOSTILE:
            with pytest.raises(BadValue, match=r"^params.given must be .*, got "):
                request_of(reports, f"one_{type_}", {"given": given}, None)
            with pytest.raises(BadValue, match=r"^params.given at 0 must be .*, got "):
                request_of(reports, f"many_{type_}", {"given": [given]}, None)
