"""What a report file may declare, and how its mistakes are named."""

from pathlib import Path

import pytest

from postgres.parameters import Value, ValueType
from tasks.reports.declared.catalog import load_reports
from tasks.reports.declared.header import Chart, Format
from tasks.reports.values import BadValue
from tasks.targets import BadCatalog
from tests.workers import ROOT

GOOD = """/* celeriac
title = "Orders"
format = "csv"

[params.since]
type = "date"
default = 2013-01-01

[params.customer]
type = "text"
required = true

[chart]
kind = "bar"
x = "customer"
y = "total"
*/
-- Not for :everyone.
SELECT customer, sum(total) AS total FROM orders
WHERE placed >= :since AND customer = :customer GROUP BY 1;
"""


def write(catalog: Path, name: str, text: str) -> Path:
    """Put a report file into a catalog."""
    path = catalog / "reports" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_report_is_read_as_declared(tmp_path: Path) -> None:
    """Name, format, chart and query come from the file, the comment is not sent."""
    write(tmp_path, "orders.sql", GOOD)

    report = load_reports(tmp_path)["orders"]

    assert "orders" == report.name
    assert Format.CSV == report.header.format
    assert Chart("bar", "customer", "total") == report.header.chart
    (statement,) = report.statements
    assert ("orders", 18, report.header.chart) == (statement.name, statement.line, statement.chart)
    assert statement.query.startswith("-- Not for :everyone.\nSELECT")
    assert statement.query.endswith("GROUP BY 1")


def test_defaults_fill_in(tmp_path: Path) -> None:
    """A parameter that is not given has its default."""
    write(tmp_path, "orders.sql", GOOD)

    values = load_reports(tmp_path)["orders"].values({"customer": "'; --"})

    expected = {
        "since": Value(ValueType.DATE, "2013-01-01"),
        "customer": Value(ValueType.TEXT, "'; --"),
    }
    assert expected == values


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "params.customer is required"),
        ({"customer": None}, "params.customer is required"),
        ({"customer": "a", "since": "soon"}, "params.since must be a date as .*, got 'soon'"),
        ({"custommer": "a"}, "params may hold since, customer for orders, got 'custommer'"),
    ],
)
def test_bad_parameters_are_named(tmp_path: Path, given: dict[str, object], words: str) -> None:
    """A missing, wrong or unknown parameter is named with what is allowed."""
    write(tmp_path, "orders.sql", GOOD)
    report = load_reports(tmp_path)["orders"]

    with pytest.raises(BadValue, match=words):
        report.values(given)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1", "must begin with a comment"),
        ("SELECT 1 /* celeriac\ntitle = 'a' */", "must begin with a comment"),
        ("/* celeriac */ SELECT 1", "line 1: missing required field `title`"),
        ("/* celeriac\ntitle = */ SELECT 1", "line 2: Invalid value"),
        ("/* celeriac\ntitle = 'a'\ncolour = 'b' */ SELECT 1", "line 3: unknown field `colour`"),
        ("/* celeriac\ntitle = 'a'\nformat = 'pdf' */ SELECT 1", "line 3: format .* html, .*'pdf'"),
        ("/* celeriac\ntitle = 'a' */\nSELECT 1,\n '", "line 4: a ' is opened and never closed"),
        ("/* celeriac\ntitle = 'a' */\nSELECT $a$1", r"line 3: a \$a\$ is opened and never"),
        ("/* celeriac\ntitle = 'a'\n[params.x]\ntype='money' */ SELECT :x", "params.x: .*'money'"),
        ("/* celeriac\ntitle = 'a'\n[params.x]\ntype='int'\ndefault='b' */ SELECT :x", "params.x"),
        ("/* celeriac\ntitle = 'a'\n[params.x]\ntype = 'int' */ SELECT 1", "never uses :x"),
        ("/* celeriac\ntitle = 'a' */ SELECT :x", "declare it in .params.x."),
        ("/* celeriac\ntitle = 'a' */ SELECT 1; SELECT 2", "one statement"),
        (
            "/* celeriac\ntitle = 'a'\n[chart]\nkind='pie'\nx='a'\ny='b' */ SELECT 1",
            "line 4: .*'pie'",
        ),
        ("/* celeriac\ntitle = 'a'\nfresh_for = 'soon' */ SELECT 1", "fresh_for .*, got 'soon'"),
        ("/* celeriac\ntitle = 'a'\ntimeout = '2 min' */ SELECT 1", "at most the 60 s of CELERIAC"),
        ("/* celeriac\ntitle = 'a'\nmax_rows = 0 */ SELECT 1", "max_rows must be 1 or more, got 0"),
        ("/* celeriac\ntitle = 'a'\nschedule = 'now' */ SELECT 1", "line 3: schedule must be five"),
        (
            "/* celeriac\ntitle = 'a'\n[schedule]\nmissed='no'\ncron='* * * * *' */",
            "line 4: .*'no'",
        ),
    ],
)
def test_mistakes_name_the_file(tmp_path: Path, text: str, words: str) -> None:
    """A file that cannot be served is named with its mistake, and the line that this is about."""
    path = write(tmp_path, "broken.sql", text)

    with pytest.raises(BadCatalog, match=words) as caught:
        load_reports(tmp_path, most_seconds=60)

    assert str(caught.value).startswith(f"{path}: line ")


@pytest.mark.parametrize("name", ["Orders.sql", "a-b.py", "9.sql", ".sql", "a b.sql"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    """A report's name is made of a-z, 0-9 and _."""
    write(tmp_path, name, GOOD)

    with pytest.raises(BadCatalog, match="name must be"):
        load_reports(tmp_path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Two broken files are two lines of one message."""
    write(tmp_path, "one.sql", "SELECT 1")
    write(tmp_path, "two.sql", "SELECT 2")

    with pytest.raises(BadCatalog) as caught:
        load_reports(tmp_path)

    assert 2 == len(str(caught.value).splitlines())


def test_one_name_is_one_report(tmp_path: Path) -> None:
    """Two files of one name are a mistake, not a choice; files that begin with _ are no reports."""
    write(tmp_path, "orders.sql", GOOD)
    write(tmp_path, "orders.py", '"""celeriac\ntitle = \'a\'\n"""\ndef report(read): ...')
    write(tmp_path, "_shared.py", "import nothing_that_exists")

    with pytest.raises(BadCatalog, match=r"orders.sql: .*orders.py is a report of the same name"):
        load_reports(tmp_path)


def test_spans_are_seconds_or_words(tmp_path: Path) -> None:
    """Spans of time may say their unit."""
    spans = "fresh_for = '1.5 h'\ntimeout = 30"
    write(tmp_path, "one.sql", f"/* celeriac\ntitle = 'a'\n{spans} */ SELECT 1")

    header = load_reports(tmp_path)["one"].header

    assert (5400.0, 30) == (header.fresh_seconds, header.timeout_seconds)


def test_the_shipped_reports_are_good() -> None:
    """The demo's catalog can be served."""
    reports = load_reports(ROOT / "catalog")

    assert "carrier_delays" in reports
