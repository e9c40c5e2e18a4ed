"""Read what may be asked: one report a file, declared in the comment that leads its query.

The comment, ``/* celeriac ... */``, holds TOML: ``title``, ``description``,
``format``, ``[params.<name>]`` and ``[chart]``.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from postgres.parameters import Value, names, single
from tasks.reports.header import Header, Parameter
from tasks.reports.values import BadValue, shown, value_of
from tasks.targets import BadCatalog

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HEADER = re.compile(r"\ufeff?\s*/\*\s*celeriac\b(?P<toml>.*?)\*/(?P<query>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DeclaredReport:
    """One report of the catalog: its name, what it declares, its query."""

    name: str
    header: Header
    query: str

    def values(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return a value for each parameter, or raise :class:`BadValue` at the first mistake."""
        params = self.header.params
        for name in given:
            if name not in params:
                allowed = ", ".join(params) or "none"
                raise BadValue(f"params may hold {allowed} for {self.name}, got {shown(name)}")
        return {name: _value(name, param, given) for name, param in params.items()}


def load_reports(catalog: Path) -> dict[str, DeclaredReport]:
    """Return the reports of a catalog by name.

    Raises :class:`BadCatalog` with every mistake in every file.
    """
    reports: dict[str, DeclaredReport] = {}
    mistakes = []
    for path in sorted((catalog / "reports").glob("*.sql")):
        try:
            reports[path.stem] = _read(path)
        except ValueError as error:
            mistakes.append(f"{path}: {error}")
    if mistakes:
        raise BadCatalog("\n".join(mistakes))
    return reports


def _read(path: Path) -> DeclaredReport:
    if not _NAME.fullmatch(path.stem):
        raise ValueError("the file's name must be a-z, 0-9 and _, begin with a letter, end in .sql")
    match = _HEADER.fullmatch(path.read_text(encoding="utf-8"))
    if match is None:
        raise ValueError("the file must begin with a comment /* celeriac ... */ that holds TOML")
    header = msgspec.convert(tomllib.loads(match["toml"]), Header)
    report = DeclaredReport(path.stem, header, single(match["query"]).strip())
    _check_parameters(report)
    return report


def _check_parameters(report: DeclaredReport) -> None:
    declared, used = set(report.header.params), names(report.query)
    if missing := sorted(used - declared):
        raise ValueError(f":{missing[0]} is used in the query, declare it in [params.{missing[0]}]")
    if idle := sorted(declared - used):
        raise ValueError(f"params.{idle[0]} is declared, but the query never uses :{idle[0]}")
    for name, parameter in report.header.params.items():
        if parameter.required and parameter.default is not None:
            raise ValueError(f"params.{name} is required, so it can have no default")
        _convert(name, parameter, parameter.default)


def _value(name: str, parameter: Parameter, given: Mapping[str, Any]) -> Value:
    chosen = given.get(name, parameter.default)
    if chosen is None and parameter.required:
        raise BadValue(f"params.{name} is required, give it {parameter.type}")
    return _convert(name, parameter, chosen)


def _convert(name: str, parameter: Parameter, given: Any) -> Value:
    try:
        return value_of(parameter.type, given)
    except BadValue as error:
        raise BadValue(f"params.{name} {error}") from None
