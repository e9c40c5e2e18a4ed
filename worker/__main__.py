"""The command line: ``python -m worker --help``."""

import sys

import click

from worker.commands.on_demand import CommandLine, OnDemand
from worker.named import load

_COMMANDS = [
    OnDemand(
        "worker.up:up", "Start servers, workers and Flower on this machine; Ctrl-C stops them all."
    ),
    OnDemand(
        "worker.commands.ingest:ingest",
        "Load files, folders or globs of the inbox, or URLs: one job a file, a file once.",
    ),
    OnDemand(
        "worker.commands.migrate:migrate",
        "Bring the database to the schema that this version needs.",
    ),
    OnDemand(
        "worker.commands.doctor:doctor",
        "Say what is wrong with this deployment, and what mends it; changes nothing.",
    ),
    OnDemand(
        "worker.commands.relay:relay",
        "Push jobs from the outbox into their queues, until SIGTERM or Ctrl-C.",
    ),
    OnDemand(
        "worker.commands.schedule:schedule",
        "Enqueue the reports that have a schedule, each tick once, until SIGTERM or Ctrl-C.",
    ),
    OnDemand(
        "worker.commands.health:health",
        "Say whether a worker, relay, schedule or Flower does well; exit status 1 if not.",
    ),
    OnDemand(
        "worker.commands.targets:targets",
        "Propose and check targets, hold and resume them, and see which are held.",
    ),
    OnDemand(
        "worker.commands.quarantine:quarantine",
        "Look at rows that were set aside, replay them, discard them.",
    ),
    OnDemand(
        "worker.commands.reports:reports",
        "List reports, check them against the database, run one here; verify and purge files.",
    ),
    OnDemand(
        "worker.commands.jobs:jobs",
        "Look at jobs that were buried or held, redrive them, discard them.",
    ),
]

#: What a command may end with that one line tells, without a traceback.
_TOLD_IN_A_LINE = (
    "postgres.errors:PostgresError",
    "tasks.targets:BadCatalog",
    "tasks.stores:StoreTrouble",
)


@click.group(
    cls=CommandLine,
    commands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
def main() -> None:
    """Celeriac: background jobs for teams whose data lives in PostgreSQL."""


if __name__ == "__main__":
    try:
        main(prog_name="python -m worker")
    except Exception as error:
        # Asked only now: `--help` needs neither of them.
        if not isinstance(error, tuple(map(load, _TOLD_IN_A_LINE))):
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
