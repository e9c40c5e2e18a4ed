"""Which targets are held; hold one, resume one."""

import click

from postgres.holds import held_jobs, held_targets, hold, release
from postgres.transaction import transaction
from worker.commands.connect import ledger_pool
from worker.kinds import load_kinds, queues_of
from worker.lifecycle import settings_of_this_process
from worker.redeliver import redeliver


@click.group()
def targets() -> None:
    """Hold targets, resume them, and see which are held."""


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


@targets.command("resume")
@click.argument("name")
def resume_target(name: str) -> None:
    """Open a target again and enqueue the jobs that waited for it.

    Safe to repeat: a job that runs twice has its effect once.
    """
    pool = ledger_pool()
    with transaction(pool) as cursor:
        released = release(name, cursor)
    settings = settings_of_this_process()
    queues, url = queues_of(load_kinds(settings.kinds)), settings.broker_url.get_secret_value()
    count = 0
    with transaction(pool) as cursor:
        for page in held_jobs(name, cursor):
            count += redeliver(page, queues, url, settings.key_prefix)
    was = "resumed" if released else "was not held"
    click.echo(f"target {name} {was}; {count} jobs were enqueued again")
