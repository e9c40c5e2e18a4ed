"""How a command line gives a report its parameters."""

from pathlib import Path
from typing import Any

import click
import pytest

from tasks.reports.declared.catalog import DeclaredReport
from tasks.reports.declared.header import Header
from tasks.reports.declared.parameter import Parameter
from worker.commands.report_params import params_of

PARAMS = {
    "n": Parameter("int"),
    "exact": Parameter("numeric"),
    "flag": Parameter("bool"),
    "word": Parameter("text"),
    "ns": Parameter("bigint[]"),
    "words": Parameter("text[]"),
    "flags": Parameter("bool[]"),
}
REPORT = DeclaredReport("a", Header("A", params=PARAMS), Path("a.sql"), ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("n=-5", {"n": -5}),
        ("n=many", {"n": "many"}),
        ("exact=1.10", {"exact": "1.10"}),
        ("flag=true", {"flag": True}),
        ("flag=yes", {"flag": "yes"}),
        ("word=a=b", {"word": "a=b"}),
        ("word=", {"word": ""}),
        ("ns=1,2", {"ns": [1, 2]}),
        ("ns=", {"ns": []}),
        ('ns=[1, "2"]', {"ns": [1, 2]}),
        ("words=a, b", {"words": ["a", " b"]}),
        ('words=["a,b"]', {"words": ["a,b"]}),
        ("flags=true,false", {"flags": [True, False]}),
        ("unknown=5", {"unknown": "5"}),
    ],
)
def test_texts_are_read_by_their_type(given: str, expected: dict[str, Any]) -> None:
    """A text becomes what JSON would have held; what is of no such type is left to be refused."""
    assert expected == params_of(REPORT, [given])


@pytest.mark.parametrize("given", [["n"], ["words=[1"], ["n=1", "n=2"]])
def test_what_cannot_be_read_is_told(given: list[str]) -> None:
    """A pair without its sign, a list that is no JSON, and a second value are refused."""
    with pytest.raises(click.BadParameter):
        params_of(REPORT, given)
