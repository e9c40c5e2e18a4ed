"""Attend to a run while its work is somewhere else: in a query of another connection, say.

A thread uses the steps' connection meanwhile, and nobody else may: it commits
how far the run is, keeps it from being taken for dead, and interrupts it when
it has to end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tasks.kind import Counts
from tasks.long_kind import Steps

#: How often it is asked whether the run has to end.
_LOOK_SECONDS = 0.2
#: So many looks later, how far it is is committed.
_LOOKS_A_STEP = 5


class Interrupted(Exception):
    """The run had to end; ``reason`` is what its steps raised."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Attendance:
    """The thread beside a run; tell it how many rows there are so far."""

    def __init__(self, steps: Steps, interrupt: Callable[[], None]) -> None:
        #: Set by whoever does the work.
        self.rows = 0
        #: Why the run has to end.
        self.reason: Exception | None = None
        self._steps = steps
        self._interrupt = interrupt
        self._told_rows = 0
        self._is_over = Event()
        self._thread = Thread(target=self._attend, name="attendance", daemon=True)

    def tell(self, rows: int) -> None:
        """Say how many rows there are so far; cheap to call often."""
        self.rows = rows

    def begin(self) -> None:
        """Attend from now on."""
        self._thread.start()

    def end(self) -> None:
        """Attend no more; the steps are the caller's again."""
        self._is_over.set()
        self._thread.join()

    def _attend(self) -> None:
        looks = 0
        while not self._is_over.wait(_LOOK_SECONDS):
            looks += 1
            if self.reason is None:
                self._look(commits=looks % _LOOKS_A_STEP == 0)
            if self.reason is not None:
                # Again each time: between two queries nobody hears it.
                self._interrupt()

    def _look(self, *, commits: bool) -> None:
        try:
            self._steps.stop_if_asked()
            if commits:
                self._commit()
        except Exception as error:  # noqa: BLE001 - raised where the work is
            self.reason = error

    def _commit(self) -> None:
        rows = self.rows
        if rows == self._told_rows:
            self._steps.beat()
            return
        with self._steps.step() as step:
            step.move({"rows": rows}, Counts())
        self._told_rows = rows


@contextmanager
def attended(steps: Steps, interrupt: Callable[[], None]) -> Iterator[Attendance]:
    """Attend to the run while the context lasts.

    Raises :class:`Interrupted` if it had to end, whatever was raised inside
    then. ``interrupt`` is called from the thread, again and again, until the
    context is left.
    """
    attendance = Attendance(steps, interrupt)
    attendance.begin()
    try:
        yield attendance
    except Exception as error:
        attendance.end()
        if attendance.reason is not None:
            raise Interrupted(attendance.reason) from error
        raise
    finally:
        attendance.end()
    if attendance.reason is not None:
        raise Interrupted(attendance.reason)
