"""The command line: ``python -m worker --help``."""

import sys

import click

from postgres.errors import PostgresError
from tasks.targets import BadCatalog
from worker.commands.ingest import ingest
from worker.commands.jobs import jobs
from worker.commands.migrate import migrate
from worker.commands.quarantine import quarantine
from worker.commands.relay import relay
from worker.commands.targets import targets
from worker.up import up


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Celeriac: background jobs for teams whose data lives in PostgreSQL."""


main.add_command(up)
main.add_command(ingest)
main.add_command(migrate)
main.add_command(relay)
main.add_command(targets)
main.add_command(quarantine)
main.add_command(jobs)

if __name__ == "__main__":
    try:
        main(prog_name="python -m worker")
    except (PostgresError, BadCatalog) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
