"""Read the parameters of a report from a command line."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from postgres.parameters import ValueType
from tasks.reports.declared.catalog import DeclaredReport
from tasks.reports.declared.parameter import Parameter


def params_of(report: DeclaredReport, given: Sequence[str]) -> dict[str, Any]:
    """Return what ``key=value`` texts mean to the report, each read by its parameter's type.

    An array is a JSON list, or its elements with commas between them. Whether a value may be
    given is not judged here.
    """
    pairs: dict[str, str] = {}
    for name, text in map(_pair, given):
        if name in pairs:
            raise click.BadParameter(
                f"{name} is given twice, {pairs[name]!r} and {text!r}: give it once, a list as 1,2",
                param_hint="'-p'",
            )
        pairs[name] = text
    return {name: _given(report.header.params, name, text) for name, text in pairs.items()}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"expected KEY=VALUE, got {text!r}", param_hint="'-p'")
    return name, value


def _given(params: Mapping[str, Parameter], name: str, text: str) -> Any:
    parameter = params.get(name)
    if parameter is None or not parameter.is_array:
        return text if parameter is None else _one(parameter.value_type, text)
    if not text.lstrip().startswith("["):
        return [_one(parameter.value_type, one) for one in text.split(",")] if text else []
    try:
        elements = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.BadParameter(f"{name} is no JSON list: {error}", param_hint="'-p'") from error
    # Numbers may stand in quotes, as those after commas do.
    return [_one(parameter.value_type, e) if isinstance(e, str) else e for e in elements]


def _one(kind: ValueType, text: str) -> Any:
    """Turn a text into what JSON would have held; one that is not of the type stays as it is."""
    if kind is ValueType.BOOL:
        return {"true": True, "false": False}.get(text, text)
    if kind in {ValueType.INT, ValueType.BIGINT}:
        try:
            return int(text)
        except ValueError:
            return text
    return text
