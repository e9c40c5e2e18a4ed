"""The options by which commands choose jobs and rows: by target, reason, time and state."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from getpass import getuser
from typing import Any, TypeVar

import click

from worker.redrive import Operator

_AGO = re.compile(r"(\d+)\s*(s|min|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Command = TypeVar("Command", bound=Callable[..., Any])


class Moment(click.ParamType[datetime]):
    """A point in time: an ISO date or time, in UTC unless it says otherwise, or how long ago."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time, or end the command with what is wrong."""
        if isinstance(value, datetime):
            return value
        try:
            return read_moment(value, datetime.now(UTC))
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: give 2026-03-01, 2026-03-01T12:30Z, 30m, 12h or 7d",
                param,
                ctx,
            )


def read_moment(text: str, now: datetime) -> datetime:
    """Read a time, or a span before now. Raises ValueError."""
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    at = datetime.fromisoformat(text.strip())
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def time_and_reason(command: Command) -> Command:
    """Add the options that jobs and rows have in common."""
    for option in (
        click.option("--until", type=Moment(), help="Set aside before this time."),
        click.option(
            "--since",
            type=Moment(),
            help="Set aside at or after this time, such as 2026-03-01T12:00 or 12h (ago).",
        ),
        click.option(
            "--reason", metavar="TEXT", help="Part of the reason; of rows, also a SQLSTATE."
        ),
        click.option("--target", "targets", multiple=True, metavar="NAME", help="May be repeated."),
    ):
        command = option(command)
    return command


def several(values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return what was given, None if nothing was: then it does not matter."""
    return values or None


def operator() -> Operator:
    """Name who runs this command."""
    try:
        name = getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = "an operator"
    return Operator(name, datetime.now(UTC))
