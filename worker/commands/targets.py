"""Which targets are held; hold one, resume one."""

import click

from postgres.holds import held_jobs, held_targets, hold, release
from postgres.outbox import Entry, enqueue, remove
from postgres.transaction import transaction
from tasks.targets import BadCatalog, load_targets
from worker.commands.connect import ledger_pool
from worker.commands.target_add import add_target
from worker.commands.target_check import check_targets
from worker.outside import settings_of_this_process


@click.group()
def targets() -> None:
    """Propose and check targets, hold and resume them, and see which are held."""


targets.add_command(add_target)
targets.add_command(check_targets)


@targets.command("list")
def list_targets() -> None:
    """Show the targets that are held, why, since when, and how many jobs wait."""
    with transaction(ledger_pool()) as cursor:
        found = held_targets(cursor)
    for one in found:
        click.echo(
            f"{one.target}  {one.jobs} jobs  since {one.since:%Y-%m-%d %H:%M:%S}Z  {one.reason}"
        )
    if not found:
        click.echo("no target is held")


@targets.command("hold")
@click.argument("name")
@click.option("--reason", default="held by hand", show_default=True, help="Shown with the jobs.")
def hold_target(name: str, reason: str) -> None:
    """Let the jobs of a target wait in PostgreSQL until it is resumed."""
    with transaction(ledger_pool()) as cursor:
        hold(name, reason, cursor)
    click.echo(f"target {name} is held")
    _warn_if_unknown(name)


def _warn_if_unknown(name: str) -> None:
    """Say that a name may be misspelt; another catalog than this one may have it."""
    try:
        known = load_targets(settings_of_this_process().catalog)
    except BadCatalog as error:
        click.echo(f"careful: nobody knows whether there is such a target: {error}", err=True)
        return
    if name not in known:
        names = ", ".join(known) or "none"
        click.echo(f"careful: the catalog has no such target, it has: {names}", err=True)


@targets.command("resume")
@click.argument("name")
def resume_target(name: str) -> None:
    """Open a target again and enqueue the jobs that waited for it, in one transaction.

    The relay pushes them. Safe to repeat: a job that runs twice has its effect once.
    """
    count = 0
    with transaction(ledger_pool()) as cursor:
        released = release(name, cursor)
        for page in held_jobs(name, cursor):
            # A row that a worker of an earlier version left behind would keep the new one out.
            remove([job.id for job in page], cursor)
            enqueue([Entry(job.id, job.task, job.payload) for job in page], cursor)
            count += len(page)
    was = "resumed" if released else "was not held"
    click.echo(f"target {name} {was}; {count} jobs were enqueued again")
    if not released:
        _warn_if_unknown(name)
