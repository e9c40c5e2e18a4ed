"""How a file of several statements is cut, and where each begins."""

from pathlib import Path

import pytest

from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.targets import BadCatalog

BOOK = """/* celeriac
title = "Book"
format = "xlsx"

[chart]
kind = "bar"
x = "a"
y = "b"
statement = "second"
*/
-- A book of two sheets.
-- name: first
SELECT '
-- name: not_this
', /*
-- name: nor_this
*/ 1 -- name: nor_that
;
   --name:second

SELECT 1 AS a, 2 AS b; -- done
"""


def load(catalog: Path, text: str) -> DeclaredReport:
    """Read a text as the report ``book``."""
    (catalog / "reports").mkdir()
    (catalog / "reports" / "book.sql").write_text(text)
    return load_reports(catalog)["book"]


def test_only_comments_on_their_own_lines_name_statements(tmp_path: Path) -> None:
    """Names in strings, in other comments and behind code are none; lines are those of the file."""
    statements = load(tmp_path, BOOK).statements

    assert [("first", 13), ("second", 21)] == [(one.name, one.line) for one in statements]
    assert statements[0].query.endswith("*/ 1 -- name: nor_that")
    assert "SELECT 1 AS a, 2 AS b" == statements[1].query


def test_a_chart_is_of_its_statement(tmp_path: Path) -> None:
    """The chart stands with the statement that it names, and with no other."""
    first, second = load(tmp_path, BOOK).statements

    assert (None, "b") == (first.chart, second.chart and second.chart.y)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"xlsx"', '"csv.gz"', r"csv.gz holds the rows of one statement, book has 2: take html or"),
        ("-- A book", "SELECT 0; -- A book", "line 10: the first statement needs a name too"),
        ("--name:second", "--name: first", "line 19: a second statement is named 'first'"),
        ("--name:second", "--name: History", "line 19: .* must be a-z, .* got 'History'"),
        ("--name:second", "--name: history", "line 19: no sheet .* named 'history'"),
        ("--name:second", f"--name: {'x' * 32}", "at most 31 characters, got 'xxx"),
        ("; -- done", "; SELECT 3", "line 19, second: expected one statement, got 2; name each"),
        ('statement = "second"', 'statement = "third"', "no statement is named 'third'"),
        ("SELECT 1 AS a", "SELECT :a", "line 21, second: :a is used in the query, declare it"),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    """What is wrong with a statement is told with its line in the file."""
    with pytest.raises(BadCatalog, match=words):
        load(tmp_path, BOOK.replace(old, new))


def test_a_lone_statement_has_the_name_of_its_report(tmp_path: Path) -> None:
    """Without a name the one statement is called after its file."""
    (statement,) = load(tmp_path, "/* celeriac\ntitle = 'a' */ SELECT 1").statements

    assert ("book", "SELECT 1", 2) == statement[:3]
