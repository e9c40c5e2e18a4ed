"""What the leading comment of a report declares, in TOML."""

from enum import StrEnum
from typing import Any, Literal

import msgspec

from postgres.parameters import ValueType


class Format(StrEnum):
    """The formats in which a report can be written."""

    HTML = "html"
    CSV = "csv"


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter that a report takes."""

    type: ValueType
    default: Any = None
    required: bool = False


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The chart that a report draws of its answer: two of its columns."""

    kind: Literal["bar"]
    x: str
    y: str
    title: str = ""


class BadChart(ValueError):
    """A chart that the answer of its report cannot fill."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the leading comment of a report declares."""

    title: str
    description: str = ""
    format: Format = Format.HTML
    params: dict[str, Parameter] = {}
    chart: Chart | None = None
