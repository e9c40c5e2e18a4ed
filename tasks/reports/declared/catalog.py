"""Read what may be asked: one report a file, ``reports/*.sql`` and ``reports/*.py``.

A file whose name begins with ``_`` is no report; Python reports may import it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postgres.parameters import Value
from tasks.reports.declared.header import Format, Header
from tasks.reports.declared.mistake import placed
from tasks.reports.declared.parameter import Parameter
from tasks.reports.declared.read_python import read_python
from tasks.reports.declared.read_sql import Statement, read_sql
from tasks.reports.declared.schedule import check_schedule
from tasks.reports.values import BadValue, shown
from tasks.targets import BadCatalog

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class DeclaredReport:
    """One report of the catalog: its name, what it declares, its statements, its file."""

    name: str
    header: Header
    path: Path
    #: None of a report in Python.
    statements: tuple[Statement, ...]

    @property
    def is_python(self) -> bool:
        """Whether a function answers it, and no statements of its file."""
        return self.path.suffix == ".py"

    @property
    def formats(self) -> list[Format]:
        """The formats in which it can be written; which of them hold Python's, its run tells."""
        return [one for one in Format if self.fits(one)]

    def fits(self, format_: Format) -> bool:
        """Tell whether it can be written so."""
        return len(self.statements) <= 1 or format_.holds_sections

    @property
    def types(self) -> dict[str, Value]:
        """A NULL of each parameter's type."""
        params = self.header.params
        return {name: parameter.value(None) for name, parameter in params.items()}

    def values(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """Return a value for each parameter, or raise :class:`BadValue` at the first mistake."""
        params = self.header.params
        for name in given:
            if name not in params:
                allowed = ", ".join(params) or "none"
                raise BadValue(f"params may hold {allowed} for {self.name}, got {shown(name)}")
        return {name: _value(name, param, given) for name, param in params.items()}


def load_reports(catalog: Path, most_seconds: float | None = None) -> dict[str, DeclaredReport]:
    """Return the reports of a catalog by name.

    Raises :class:`BadCatalog` with every mistake in every file; that a report wants more time
    than a query may take is one, where that is known.
    """
    reports: dict[str, DeclaredReport] = {}
    mistakes = []
    for path in _files(catalog):
        try:
            if path.stem in reports:
                raise ValueError(f"{reports[path.stem].path.name} is a report of the same name")
            reports[path.stem] = _read(path, most_seconds)
        except (OSError, ValueError) as error:
            mistakes.append(f"{path}: {error}")
    if mistakes:
        raise BadCatalog("\n".join(mistakes))
    return reports


def _files(catalog: Path) -> list[Path]:
    found = [path for end in ("*.sql", "*.py") for path in (catalog / "reports").glob(end)]
    return sorted(path for path in found if not path.name.startswith("_"))


def _read(path: Path, most_seconds: float | None) -> DeclaredReport:
    if not _NAME.fullmatch(path.stem):
        raise ValueError(
            "the file's name must be a-z, 0-9 and _, begin with a letter and end in .sql or .py"
        )
    try:
        header, statements = (read_python(path), ()) if path.suffix == ".py" else read_sql(path)
        report = DeclaredReport(path.stem, header, path, statements)
        _check(report, most_seconds)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        text = path.read_text(encoding="utf-8", errors="replace")
        raise ValueError(placed(str(error), text)) from error
    return report


def _check(report: DeclaredReport, most_seconds: float | None) -> None:
    header = report.header
    for name, parameter in header.params.items():
        _convert(name, parameter, parameter.default)
    check_format(report, header.format)
    if header.scheduled is not None:
        check_schedule(header.scheduled, report.values, report.formats)
    wanted = header.timeout_seconds
    if wanted is not None and most_seconds is not None and wanted > most_seconds:
        raise ValueError(
            f"timeout must be at most the {most_seconds:g} s of CELERIAC_REPORT_SECONDS,"
            f" got {header.timeout!r}"
        )


def check_format(report: DeclaredReport, format_: Format) -> None:
    """Refuse, by :class:`BadValue`, a format whose files cannot hold what the report gives."""
    if not report.fits(format_):
        raise BadValue(
            f"format {format_.value} holds the rows of one statement, {report.name} has"
            f" {len(report.statements)}: take {' or '.join(report.formats)}"
        )


def _value(name: str, parameter: Parameter, given: Mapping[str, Any]) -> Value:
    chosen = given.get(name, parameter.default)
    if chosen is None and parameter.required:
        raise BadValue(f"params.{name} is required, give it {parameter.type}")
    return _convert(name, parameter, chosen)


def _convert(name: str, parameter: Parameter, given: Any) -> Value:
    try:
        return parameter.value(given)
    except BadValue as error:
        raise BadValue(f"params.{name} {error}") from None
