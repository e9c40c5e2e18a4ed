"""Buried and held jobs: look at them, redrive them, discard them; forget the old ones."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from celeriac.contract import State
from postgres.kept_jobs import JobSelection, count_kept, lock_job, pages, read_job, read_kept
from postgres.purge import Horizon, purge
from postgres.quarantined import Selection, count_by_reason
from postgres.transaction import Lender, transaction
from worker.commands.choosing import Command, operator, several, time_and_reason
from worker.commands.connect import ledger_pool
from worker.commands.job_lines import (
    arguments_of,
    job_facts,
    listed,
    next_step,
    payload_lines,
    summed_up,
)
from worker.commands.layout import counted, facts, printable
from worker.kinds import load_kinds
from worker.outside import settings_of_this_process
from worker.redrive import CannotRedrive, new_body, redrive
from worker.redrive import discard as discard_one

_KEPT = (State.DEAD, State.HELD)
_TOLD = 20


@click.group()
def jobs() -> None:
    """Look at jobs that were buried or held, redrive them, discard them."""


def choosing_jobs(command: Command) -> Command:
    """Add the arguments by which jobs are chosen."""
    command = time_and_reason(command)
    command = click.option(
        "--task", "tasks", multiple=True, metavar="NAME", help="May be repeated."
    )(command)
    return click.argument("ids", nargs=-1, metavar="[ID]...")(command)


@jobs.command("list")
@choosing_jobs
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([State.DEAD.value, State.HELD.value, State.CANCELLED.value]),
    default=[state.value for state in _KEPT],
    show_default=True,
    help="May be repeated.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=0), help="0: all.")
def list_jobs(limit: int, states: Sequence[str], **chosen: Any) -> None:
    """List jobs that were set aside, the latest first, and count them by reason."""
    selection = _selection(states, **chosen)
    with transaction(ledger_pool()) as cursor:
        counts = count_kept(selection, cursor)
        found = read_kept(selection, limit or None, cursor)
    total = sum(one.jobs for one in counts)
    if not total:
        click.echo(f"no such job is {' or '.join(states)}")
        return
    for line in listed(found):
        click.echo(line)
    if len(found) < total:
        click.echo(f"… {len(found)} of {counted(total, 'job')}; --limit 0 shows all")
    click.echo()
    for line in summed_up(counts):
        click.echo(line)


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--whole", is_flag=True, help="Do not cut the payload.")
@click.option("--payload", "only_payload", is_flag=True, help="Its arguments alone, to be edited.")
def show_job(job_id: str, *, whole: bool, only_payload: bool) -> None:
    """Show everything that the ledger knows about one job, of whatever state."""
    with transaction(ledger_pool()) as cursor:
        job = read_job(job_id, cursor)
        if job is None:
            raise click.ClickException(
                f"the ledger does not know job {printable(job_id)!r}: it has not run yet, "
                "was never sent, or ended longer ago than CELERIAC_DEDUPE_DAYS"
            )
        entries = count_by_reason(Selection(jobs=[job_id]), cursor)
    if only_payload:
        click.echo(arguments_of(job))
        return
    click.echo(f"job {printable(job.id)}")
    for line in (
        *facts(job_facts(job, entries)),
        *payload_lines(job, whole=whole),
        *next_step(job),
    ):
        click.echo(line)


@jobs.command("redrive")
@choosing_jobs
@click.option("--all", "everything", is_flag=True, help="Every dead job; asks first.")
@click.option(
    "--payload",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Other arguments for the one job: a JSON file as `jobs show ID --payload` prints it.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def redrive_jobs(
    payload: Path | None, *, everything: bool, dry_run: bool, yes: bool, **chosen: Any
) -> None:
    """Send dead jobs again under their old ids, as if they had never been tried.

    Safe to repeat, and to run twice at once: each is sent once.
    """
    if payload is not None and len(chosen["ids"]) != 1:
        raise click.UsageError("--payload goes with exactly one id")
    edited = None if payload is None else _read(payload)
    pool, kinds, who = ledger_pool(), load_kinds(settings_of_this_process().kinds), operator()
    ids = _chosen(
        pool, [State.DEAD], everything=everything, yes=yes or dry_run, verb="redrive", **chosen
    )

    def one_job(job_id: str) -> None:
        if not dry_run:
            redrive(job_id, edited, kinds, who, pool)
            return
        with transaction(pool) as cursor:
            job = lock_job(job_id, cursor)
        if job is None or job.state is not State.DEAD:
            raise CannotRedrive("it is not dead" if job else "the ledger does not know it")
        new_body(job, edited, kinds)

    words = "would be redriven; nothing was done" if dry_run else "redriven"
    sys.exit(_each(ids, one_job, words))


@jobs.command("discard")
@choosing_jobs
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in _KEPT]),
    default=[State.DEAD.value],
    show_default=True,
    help="May be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Every job of these states.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard_jobs(
    states: Sequence[str], *, everything: bool, dry_run: bool, yes: bool, **chosen: Any
) -> None:
    """Drop what was kept of jobs, so that they can never run; asks first."""
    pool, who = ledger_pool(), operator()
    wanted = [*_KEPT] if chosen["ids"] else [State(state) for state in states]
    ids = _chosen(pool, wanted, everything=everything, yes=yes or dry_run, verb="discard", **chosen)
    if chosen["ids"] and not (yes or dry_run):
        click.confirm(f"discard {counted(len(ids), 'job')} for good?", abort=True)

    def one_job(job_id: str) -> None:
        with transaction(pool) as cursor:
            job = lock_job(job_id, cursor)
        if job is None or job.state not in _KEPT:
            raise CannotRedrive(f"it is {job.state}" if job else "the ledger does not know it")
        if not dry_run:
            discard_one(job_id, who, pool)

    words = "would be discarded; nothing was done" if dry_run else "discarded"
    sys.exit(_each(ids, one_job, words))


@jobs.command("purge")
def purge_jobs() -> None:
    """Forget what ended before the dedupe horizon: one sweep through the whole ledger."""
    settings, pool = settings_of_this_process(), ledger_pool()
    horizon = Horizon(settings.dedupe_days, settings.quarantine_days)
    jobs_gone = entries_gone = page = 0
    while True:
        with transaction(pool) as cursor:
            slice_ = purge(horizon, page, cursor)
        jobs_gone, entries_gone = jobs_gone + slice_.jobs, entries_gone + slice_.entries
        page = slice_.next_page
        if slice_.ends_a_sweep:
            break
    click.echo(
        f"{counted(jobs_gone, 'job')} that ended more than {horizon.keep_days:g} days ago and "
        f"{counted(entries_gone, 'entry', 'entries')} of the quarantine forgotten"
    )


def _selection(  # noqa: PLR0913 - the choices of the command line
    states: Sequence[str],
    *,
    ids: tuple[str, ...],
    tasks: tuple[str, ...],
    targets: tuple[str, ...],
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
) -> JobSelection:
    return JobSelection(
        [*states], several(ids), several(tasks), several(targets), reason, since, until
    )


def _chosen(
    pool: Lender, states: Sequence[State], *, everything: bool, yes: bool, verb: str, **chosen: Any
) -> list[str]:
    """Return the ids of the chosen jobs; many of them, or all, only after asking."""
    if chosen["ids"]:
        return list(dict.fromkeys(chosen["ids"]))
    if not everything and not any(chosen.values()):
        raise click.UsageError("which jobs? name ids, --task, --target, --reason, a time, or --all")
    with transaction(pool) as cursor:
        ids = list(pages(_selection([state.value for state in states], **chosen), cursor))
    may_ask = verb == "discard" or not any(chosen.values())
    if ids and may_ask and not yes:
        click.confirm(f"{verb} {counted(len(ids), 'job')}?", abort=True)
    return ids


def _each(ids: Sequence[str], do: Callable[[str], None], words: str) -> int:
    """Do it to each job by itself, and say how many it was; return the exit status."""
    mistakes = []
    for job_id in ids:
        try:
            do(job_id)
        except CannotRedrive as error:
            mistakes.append(f"job {printable(job_id)}: {error}")
    if not ids:
        click.echo("no such job; nothing was done")
    else:
        click.echo(f"{counted(len(ids) - len(mistakes), 'job')} {words}")
    for one in mistakes[:_TOLD]:
        click.echo(f"error: {one}", err=True)
    if len(mistakes) > _TOLD:
        click.echo(f"error: and {len(mistakes) - _TOLD} more", err=True)
    return 1 if mistakes else 0


def _read(path: Path) -> str:
    try:
        with click.open_file(str(path), encoding="utf-8-sig") as file:
            return str(file.read())
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path}: it is no UTF-8: {error}") from error
