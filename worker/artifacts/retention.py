"""Remove files of reports that are too old or too many, little by little, beside other work."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from postgres.errors import PostgresError
from postgres.pool import Pool
from postgres.report_files import SLICE_RUNS, Keep, page_expired
from postgres.transaction import Lender, transaction
from tasks.reports.artifacts.archive import open_archive
from tasks.stores import StoreTrouble
from worker import events
from worker.artifacts.removal import expire, remove_expired

#: A sweep begins so long after the last one ended.
SWEEP_PAUSE_SECONDS = 3600.0
#: After trouble of any sort; nothing here is urgent.
TROUBLE_PAUSE_SECONDS = 300.0
#: Between slices of a sweep: this many times as long as the last slice took.
_REST = 4
_JOIN_SECONDS = 5.0


@dataclass(slots=True)
class ArtifactRetention:
    """Sweeps for ever; several on one database share the work."""

    artifacts: str
    keep: Keep
    pool: Lender
    clock: Callable[[], float] = time.monotonic
    _said: str | None = field(default=None, init=False)

    def run(self, stop: threading.Event) -> None:
        """Sweep until asked to stop; trouble is only said, it is for others to end it."""
        pause = 0.0
        while not stop.wait(pause):
            try:
                pause = self.turn()
                self._said = None
            except (PostgresError, StoreTrouble) as error:
                self._say(str(error))
                pause = TROUBLE_PAUSE_SECONDS

    def turn(self) -> float:
        """Give up a slice, remove what was given up; return how long to wait before the next."""
        started = self.clock()
        count = expire(self.keep, self.pool)
        with transaction(self.pool) as cursor:
            is_any = bool(page_expired("", cursor))
        if is_any:
            # Only now: what knows stores is large, and mostly there is nothing to do.
            self._remove()
        return SWEEP_PAUSE_SECONDS if count < SLICE_RUNS else _REST * (self.clock() - started)

    def _remove(self) -> None:
        archive = open_archive(self.artifacts)
        if not archive.is_here():
            raise StoreTrouble(
                f"no worker writes into {self.artifacts} as this machine has it: "
                "run `python -m worker reports purge` where they do"
            )
        removals = list(remove_expired(archive, self.pool))
        left = [one.left for one in removals if one.left is not None]
        if removals:
            events.artifacts_removed(files=len(removals) - len(left), left=len(left))
        if left:
            self._say(left[0])

    def _say(self, reason: str) -> None:
        """Say what is wrong, once until it is another thing."""
        if reason != self._said:
            events.artifacts_not_removed(reason=reason)
        self._said = reason


@contextmanager
def retaining_artifacts(artifacts: str, keep: Keep, pool: Pool) -> Iterator[None]:
    """Run a retention in a thread with this pool for as long as the context lasts.

    A thread of its own: a store may take its time, forgetting jobs may not wait for it.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=ArtifactRetention(artifacts, keep, pool).run,
        args=(stop,),
        name="artifact retention",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_JOIN_SECONDS)
        pool.close()
