"""Follow jobs by what the ledger says of them, with a bar for each."""

import sys
import time
from collections.abc import Mapping

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from celeriac.contract import State
from postgres.file_jobs import Watched, watch_jobs
from postgres.pool import Pool
from postgres.transaction import transaction

_LOOK_SECONDS = 0.25
#: After so long without anybody taking a job it is told what may be missing.
_PATIENCE_SECONDS = 10.0
_ENDS = frozenset({State.COMMITTED, State.DEAD, State.HELD, State.CANCELLED})


def follow(jobs: Mapping[str, str], pool: Pool) -> bool:
    """Show how far jobs are (their names by id) until all have ended; whether all committed."""
    began_at, is_told = time.monotonic(), False
    with _bars() as bars:
        board = _Board(jobs, bars)
        while True:
            with transaction(pool) as cursor:
                watched = watch_jobs(list(jobs), cursor)
            board.show(watched, time.monotonic())
            if len(watched) == len(jobs) and all(one.state in _ENDS for one in watched):
                break
            if not (watched or is_told) and time.monotonic() - began_at > _PATIENCE_SECONDS:
                is_told = True
                click.echo(
                    "nobody has taken a job yet: do `python -m worker relay` and a worker of "
                    "queue celeriac.file run?",
                    err=True,
                )
            time.sleep(_LOOK_SECONDS)
    ended = {one.id: one for one in watched}
    for id_, name in jobs.items():
        click.echo(f"{name}: {_ending(ended[id_])}")
    return all(one.state is State.COMMITTED for one in watched)


class _Board:
    """The bars, and what is needed to tell how fast the jobs go."""

    def __init__(self, jobs: Mapping[str, str], bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {
            id_: bars.add_task(name.rpartition("/")[2], total=None, words="queued")
            for id_, name in jobs.items()
        }
        #: Rows and time when a job was first seen at work here.
        self._first: dict[str, tuple[int, float]] = {}

    def show(self, watched: list[Watched], now: float) -> None:
        for one in watched:
            place = one.place
            rows, since = self._first.setdefault(one.id, (place.rows, now))
            speed = (place.rows - rows) / (now - since) if now > since else 0
            words = f"{one.state}, {place.rows:,} rows"
            if one.state is State.WORKING:
                words += f", {speed:,.0f} rows/s"
            is_done = one.state is State.COMMITTED
            self._bars.update(
                self._tasks[one.id],
                completed=place.total_bytes if is_done else place.done_bytes,
                total=place.total_bytes,
                words=words,
            )


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
        # The result stands on standard output alone, for whoever reads it there.
        console=Console(file=sys.stderr),
    )


def _ending(one: Watched) -> str:
    accounts = ", ".join(f"{count:,} {name}" for name, count in one.place.accounts.items() if count)
    words = f"{one.state}, {one.place.rows:,} rows ({accounts or 'none'})"
    return f"{words}: {one.error}" if one.error else words
