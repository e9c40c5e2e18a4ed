"""What a report in Python declares, read from its file while nothing of it runs."""

from pathlib import Path

import pytest

from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.targets import BadCatalog

GOOD = '''"""A model, which celeriac serves.

celeriac
title = "Model"
format = "xlsx"

[params.since]
type = "date"
required = true
"""

import nothing_that_exists


def report(read, since, *, more=1):
    raise SystemExit
'''


def load(catalog: Path, text: str) -> DeclaredReport:
    """Read a text as the report ``model``."""
    (catalog / "reports").mkdir()
    (catalog / "reports" / "model.py").write_text(text)
    return load_reports(catalog)["model"]


def test_nothing_of_the_module_runs(tmp_path: Path) -> None:
    """A module that cannot be imported here is served: its declaration is read as text."""
    report = load(tmp_path, GOOD)

    assert report.is_python
    assert ("Model", ["since"], ()) == (
        report.header.title,
        list(report.header.params),
        report.statements,
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\nceleriac", "\nceleri", "must begin with a docstring"),
        ("title =", "title", "model.py: line 4: Expected '=' after a key"),
        ("def report(read", "def raport(read", r"must define a function report\(read, ...\)"),
        ("def report(read, since, *, more=1)", "def report()", "line 15: report must take read"),
        ("(read, since", "(read, until", "line 15: params.since is declared, but report takes no"),
        ("(read, since", "(read, since, until", "line 15: report needs until, declare it in"),
        ("(read, since", "(since, read", "line 15: params.since has the name of what report reads"),
        ("more=1", "more", "line 15: report needs more, declare it in"),
        ("def report", "def = report", "line 15: invalid syntax"),
        (
            "required = true\n",
            'required = true\n[chart]\nkind="bar"\nx="a"\ny="b"\n',
            "can declare none",
        ),
    ],
)
def test_mistakes_name_their_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    """A declaration that its function does not fit is told before anybody asks for the report."""
    with pytest.raises(BadCatalog, match=words):
        load(tmp_path, GOOD.replace(old, new))
