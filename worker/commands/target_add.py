"""Propose a table and a target from a file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tasks.files import (
    BadFile,
    FileOptions,
    Source,
    Unreachable,
    open_reader,
    open_source,
    read_options,
)
from tasks.files.survey import Survey
from tasks.propose_target import NoProposal, proposed_table, proposed_target


@click.command("add")
@click.argument("name")
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV, JSON-lines or Parquet file; all of it is read.",
)
@click.option("--key", help="Columns that tell rows apart, separated by commas.")
@click.option("--table", help="schema.name of the table; default: public and the target's name.")
@click.option("--format", "format_", help="csv, jsonl or parquet; default: by the file's name.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="See docs/files.md.")
def add_target(  # noqa: PLR0913 - one argument an option
    name: str,
    *,
    file: Path,
    key: str | None,
    table: str | None,
    format_: str | None,
    options: Sequence[str],
) -> None:
    """Propose a table and a target for the rows of a file; nothing is changed anywhere.

    Prints the CREATE TABLE and the section for targets.toml, to review.
    """
    schema, _, relation = (table or f"public.{name}").rpartition(".")
    survey = Survey([one.strip() for one in key.split(",")] if key else ())
    try:
        given = read_options(file.name, format_, dict(map(_option, options)))
        _survey(file.resolve(), given, survey)
        statement = proposed_table(schema or "public", relation, survey)
        section = proposed_target(name, schema or "public", relation, survey)
    except (BadFile, Unreachable, NoProposal) as error:
        raise click.ClickException(str(error)) from error
    click.echo(statement)
    click.echo(section, nl=False)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} must be KEY=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _survey(path: Path, options: FileOptions, survey: Survey) -> None:
    # The operator's own file, wherever it is: its folder stands in for the inbox.
    with open_source(path.name, options, inbox=path.parent) as source:
        reader = open_reader(source, options)
        if reader.columns is None and options.format.value == "csv":
            raise BadFile('without a header, name the columns: --option columns=\'["a", "b"]\'')
        with _progress(source) as bar:
            for chunk in reader.chunks():
                survey.see(reader.records(chunk))
                bar.update(chunk.done_bytes - bar.pos)


def _progress(source: Source) -> Any:
    size = source.fingerprint.size_bytes
    is_unseen = not sys.stderr.isatty()
    return click.progressbar(length=size, label="reading", file=sys.stderr, hidden=is_unseen)
