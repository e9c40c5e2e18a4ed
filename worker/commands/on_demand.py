"""Commands that are loaded when somebody runs them: one needs Celery, one Redis, some neither.

An import inside a function would hide what depends on what; here a name says it,
and :func:`worker.named.load` follows all such names.
"""

import click

from worker.named import load


class OnDemand(click.Command):
    """Stands for a command in the list of all, until it is run."""

    def __init__(self, place: str, short_help: str) -> None:
        super().__init__(place.partition(":")[2], help=short_help)
        self._place = place

    def load(self) -> click.Command:
        """Return the command itself."""
        command: click.Command = load(self._place)
        return command


class CommandLine(click.Group):
    """A group of commands that may be on demand."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was asked for, loaded, and what is left of the arguments."""
        name, command, left = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, OnDemand) else command, left
