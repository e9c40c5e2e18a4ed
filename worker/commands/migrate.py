"""Bring the database to the schema of this version."""

import click

from postgres.migrate import migrate as apply_migrations
from worker.outside import settings_of_this_process


@click.command()
def migrate() -> None:
    """Bring the database to the schema that this version needs."""
    url = settings_of_this_process().database_url.get_secret_value()
    applied = apply_migrations(url)
    for migration in applied:
        click.echo(f"applied {migration.number:04} {migration.name}")
    if not applied:
        click.echo("the schema is up to date")
