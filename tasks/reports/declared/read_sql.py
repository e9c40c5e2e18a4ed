"""Read a report from SQL: a leading comment of TOML, then its statements."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from postgres.parameters import names
from tasks.reports.declared.header import Chart, Header
from tasks.reports.declared.statements import NamedQuery, cut
from tasks.reports.declared.toml_header import header_of

_FILE = re.compile(r"\ufeff?\s*/\*\s*celeriac\b(?P<toml>.*?)\*/(?P<query>.*)", re.DOTALL)


class Statement(NamedTuple):
    """One statement of a report: a sheet of a workbook, a section of a page."""

    name: str
    query: str
    #: Where the query begins in its file.
    line: int
    chart: Chart | None = None


def read_sql(path: Path) -> tuple[Header, tuple[Statement, ...]]:
    """Return what a file declares, and its statements; raises ValueError at the first mistake."""
    text = path.read_text(encoding="utf-8")
    match = _FILE.fullmatch(text)
    if match is None:
        raise ValueError("the file must begin with a comment /* celeriac ... */ that holds TOML")
    header = header_of(match["toml"], 1 + text.count("\n", 0, match.start("toml")))
    line = 1 + text.count("\n", 0, match.start("query"))
    queries = cut(match["query"], line, path.stem)
    _check_parameters(header, queries)
    charts = _charts(header, [query.name for query in queries])
    return header, tuple(Statement(*query, charts.get(query.name)) for query in queries)


def _check_parameters(header: Header, queries: Iterable[NamedQuery]) -> None:
    declared, used = set(header.params), set[str]()
    for name, query, line in queries:
        mine = names(query)
        used |= mine
        if missing := sorted(mine - declared):
            first = missing[0]
            raise ValueError(
                f"line {line}, {name}: :{first} is used in the query,"
                f" declare it in [params.{first}]"
            )
    if idle := sorted(declared - used):
        raise ValueError(f"params.{idle[0]} is declared, but the query never uses :{idle[0]}")


def _charts(header: Header, known: Sequence[str]) -> dict[str, Chart]:
    charts = dict(header.charts)
    for name, chart in charts.items():
        if chart.statement not in {None, name}:
            raise ValueError(f"charts.{name} is of {name}, it cannot name {chart.statement!r}")
    if header.chart is not None:
        name = header.chart.statement or known[0]
        if name in charts:
            raise ValueError(f"{name} has a chart in [charts.{name}] and another in [chart]")
        charts[name] = header.chart
    listed = ", ".join(known)
    for name in charts:
        if name not in known:
            raise ValueError(f"no statement is named {name!r} for a chart, there are {listed}")
    return {name: msgspec.structs.replace(chart, statement=None) for name, chart in charts.items()}
