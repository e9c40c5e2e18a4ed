"""Run one report here: no broker, no worker, no job; the file goes where somebody wants it."""

import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from io import BufferedIOBase
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from postgres.pool import Pool
from postgres.snapshot import pin, snapshot
from postgres.snapshot_cursor import SnapshotCursor
from tasks.reports.answer import Answer, Written
from tasks.reports.declared.catalog import load_reports
from tasks.reports.declared.header import Format, Unanswerable
from tasks.reports.formats.formats import writer_of
from tasks.reports.request import Request, request_of
from tasks.reports.sections import refuse_excess, sections
from tasks.reports.values import BadValue
from worker.commands.connect import report_pool, report_terms
from worker.commands.layout import counted
from worker.commands.report_check import chosen_report
from worker.commands.report_params import params_of
from worker.outside import settings_of_this_process

#: Between two statements nobody hears that the report is to end.
_AGAIN_SECONDS = 0.1


@click.command("run")
@click.argument("name")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="A parameter.")
@click.option("--format", "format_", help="Default: by the output's name, or as declared.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: NAME.FORMAT in this folder. A file that is there is replaced.",
)
def run_report(
    name: str, *, params: Sequence[str], format_: str | None, output: Path | None
) -> None:
    """Run a report here, from a snapshot of its own; no worker and no broker is needed.

    An array is a JSON list, or its elements with commas between them.
    """
    settings = settings_of_this_process()
    reports = load_reports(settings.catalog, settings.report_seconds)
    report = chosen_report(reports, name)
    try:
        asked = _format_asked(format_, output) if output else format_
        request = request_of(reports, name, params_of(report, params), asked)
        final = output or Path(f"{name}.{request.format.value}")
        began = time.monotonic()
        with closing(report_pool()) as pool, _drafted(final) as file:
            written = _write(request, pool, file, settings.report_seconds)
    except (BadValue, Unanswerable) as error:
        raise click.ClickException(str(error)) from error
    seconds = time.monotonic() - began
    rows = counted(sum(one.rows for one in written), "row")
    click.echo(f"{final}: {rows}, {counted(final.stat().st_size, 'byte')}, {seconds:.1f} s")
    if len(written) > 1:
        click.echo("\n".join(f"  {one.name}: {counted(one.rows, 'row')}" for one in written))


def _write(
    request: Request, pool: Pool, file: BufferedIOBase, most_seconds: float
) -> list[Written]:
    seconds = request.report.header.timeout_seconds or most_seconds
    with _bar() as bar, snapshot(pool, report_terms()) as reader:
        reader.annotate(f"report={request.report.name}")
        task = bar.add_task(request.report.name, words="")

        def tell(rows: int) -> None:
            bar.update(task, words=f"{rows:,} rows")

        answer = Answer(request, pin(reader, seconds), sections(request, reader), tell)
        with ThreadPoolExecutor(max_workers=1) as aside:
            written = _heard(aside.submit(writer_of(request.format), answer, file), reader)
    refuse_excess(request, written)
    return written


def _heard(writing: Future[list[Written]], reader: SnapshotCursor) -> list[Written]:
    """Wait for the end, and hear Ctrl-C: in its own thread the driver is deaf to it."""
    try:
        return writing.result()
    except KeyboardInterrupt:
        while wait([writing], _AGAIN_SECONDS).not_done:
            reader.interrupt()
        raise


def _format_asked(given: str | None, output: Path) -> str | None:
    """Return the format that a file's name asks for; it may not promise another than is given."""
    ends = sorted((one.value for one in Format), key=len, reverse=True)
    named = next((end for end in ends if output.name.endswith(f".{end}")), None)
    if given is not None and named not in (None, given):
        raise BadValue(f"format is {given}, but output {output.name!r} has the name of {named}")
    if given is None and named is None and output.suffix:
        raise BadValue(
            f"output must end with one of {', '.join(f'.{end}' for end in Format)}, got "
            f"{output.name!r}: name it so, or say --format"
        )
    return given or named


@contextmanager
def _drafted(final: Path) -> Iterator[BufferedIOBase]:
    """Give the file its name when it is whole; until then, and after a failure, it has none."""
    draft = final.with_name(f".{final.name}.{secrets.token_hex(8)}")
    try:
        file = draft.open("xb")
    except OSError as error:
        raise click.ClickException(f"cannot write beside {final}: {error.strerror}") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(final)
    finally:
        draft.unlink(missing_ok=True)


def _bar() -> Progress:
    # What is said of the file stands on standard output alone, for whoever reads it there.
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
    )
