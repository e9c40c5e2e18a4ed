"""What a report takes, as workers published it, and whether a job fits: told before it is sent.

The worker judges again, and finally; what this version does not know passes here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from celeriac.shown import shown

_ARRAY: Final = "[]"
_BITS: Final[Mapping[str, int]] = MappingProxyType({"int": 32, "bigint": 64})
#: As what each type may come, and how that is called. Values of other types of Python are left
#: to the worker: what JSON makes of them is not known here.
_FORMS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = MappingProxyType(
    {
        "text": ((str,), "a string"),
        "enum": ((str,), "a string"),
        "int": ((int,), "a whole number of 32 bits"),
        "bigint": ((int,), "a whole number of 64 bits"),
        "numeric": ((int, float, str, Decimal), "a number"),
        "date": ((str, date), "a date as YYYY-MM-DD"),
        "timestamptz": ((str, datetime), "an ISO 8601 date and time with its offset"),
        "bool": ((bool,), "true or false"),
        "uuid": ((str, UUID), "a UUID"),
    }
)
_KNOWN: Final = (str, int, float, bool, list, tuple, dict, Decimal, date, datetime, UUID)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Asked:
    """What a job asks of a report."""

    name: str
    params: Mapping[str, Any]
    format: str | None


@dataclass(frozen=True)
class ReportForm:
    """What a report takes: what workers published of its parameters, and its formats."""

    params: Mapping[str, Mapping[str, Any]]
    formats: Sequence[str]

    def mistake(self, asked: Asked) -> str | None:
        """Say the first thing in which a job does not fit; None if it does."""
        if asked.format is not None and self.formats and asked.format not in self.formats:
            return f"format must be one of {', '.join(self.formats)}, got {shown(asked.format)}"
        for name in asked.params:
            if name not in self.params:
                allowed = ", ".join(self.params) or "none"
                return f"params may hold {allowed} for {asked.name}, got {shown(name)}"
        for name, declared in self.params.items():
            words = _mistake(declared, asked.params.get(name))
            if words:
                return f"params.{name} {words}"
        return None


def read_form(published: object) -> ReportForm | None:
    """Read what was published of a report; None if it is nothing that this version knows."""
    if not isinstance(published, Mapping):
        return None
    params, formats = published.get("params"), published.get("formats")
    if not isinstance(params, Mapping) or not isinstance(formats, list):
        return None
    if not all(isinstance(one, Mapping) for one in params.values()):
        return None
    return ReportForm(params, list(map(str, formats)))


def _mistake(declared: Mapping[str, Any], given: Any) -> str | None:
    type_ = str(declared.get("type"))
    if given is None:
        return f"is required, give it {type_}" if declared.get("required") else None
    if not type_.endswith(_ARRAY):
        return _of_one(type_, declared, given)
    if type(given) not in _KNOWN:
        return None
    element = type_[: -len(_ARRAY)]
    if not isinstance(given, (list, tuple)):
        return f"must be a list of {element}, got {shown(given)}"
    most = declared.get("max_length")
    if isinstance(most, int) and len(given) > most:
        return f"must have at most {most} elements, got {len(given)}"
    limits = {**declared, "max_length": None}
    for place, one in enumerate(given):
        if one is None:
            return f"must have no null in it, got one at {place}"
        words = _of_one(element, limits, one)
        if words:
            return f"at {place} {words}"
    return None


def _of_one(type_: str, declared: Mapping[str, Any], given: Any) -> str | None:
    if type_ not in _FORMS or type(given) not in _KNOWN:
        return None
    forms, words = _FORMS[type_]
    bits = _BITS.get(type_)
    fits = type(given) in forms and (bits is None or -(1 << bits - 1) <= given < 1 << bits - 1)
    if not fits or (type_ == "date" and type(given) is str and not _DATE.fullmatch(given)):
        return f"must be {words}, got {shown(given)}"
    values, most = declared.get("values"), declared.get("max_length")
    if type_ == "enum" and isinstance(values, list) and given not in values:
        return f"must be one of {', '.join(map(str, values))}, got {shown(given)}"
    if isinstance(most, int) and type_ == "text" and len(given) > most:
        return f"must have at most {most} characters, got {len(given)}"
    return _out_of_bounds(type_, declared, given)


def _out_of_bounds(type_: str, declared: Mapping[str, Any], given: Any) -> str | None:
    low, high = declared.get("min"), declared.get("max")
    if type_ == "date":
        # ISO dates are in order as texts, too.
        text = given if isinstance(given, str) else given.isoformat()
        below, above = low and text < str(low), high and text > str(high)
    elif type_ in _BITS:
        below, above = low and given < int(low), high and given > int(high)
    else:
        return None
    if below:
        return f"must be at least {low}, got {shown(given)}"
    return f"must be at most {high}, got {shown(given)}" if above else None
