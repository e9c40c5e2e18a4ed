"""Kinds whose jobs take many transactions: each step of one is committed with its place.

A job that is interrupted, by whatever, goes on after its last step. Two runs of
one job cannot take the same step: the second finds it taken, and is undone.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from postgres import Connection, Cursor
from postgres.errors import Phase, refusals
from postgres.progress import Place, say_alive, take_step
from postgres.transaction import transaction_on
from tasks.kind import Counts, Job, Kind, Outcome, Payload

#: What is done in the transaction of a job's end.
Last = Callable[[Cursor], None]

#: How often somebody is told of a job's progress, at most.
_TELL_SECONDS = 1.0


class Stopping(Exception):
    """The worker stops: the job goes on elsewhere, after its last step."""


class Unwanted(Exception):
    """Somebody revoked the job: it ends here, as cancelled."""


class NotNow(Exception):
    """Something outside PostgreSQL that the job needs is away: it waits, and asks again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, for people who wait for it; the speed is that of this run."""

    rows: int
    done_bytes: int
    total_bytes: int | None
    quarantined: int
    rows_per_second: float
    remaining_seconds: float | None
    #: Whether this run has committed a step: what ended the last one is not the job then.
    went_on: bool

    def as_result(self) -> dict[str, Any]:
        """Return what ``AsyncResult.info`` shows in the state PROGRESS."""
        return {
            "rows": self.rows,
            "quarantined": self.quarantined,
            "bytes": self.done_bytes,
            "total_bytes": self.total_bytes,
            "rows_per_second": round(self.rows_per_second),
            "remaining_seconds": self.remaining_seconds and round(self.remaining_seconds, 1),
        }


@dataclass(slots=True)
class Step:
    """One open transaction of a job; ``move`` says what it did, before it ends."""

    cursor: Cursor
    before: Place
    after: Place | None = None

    def move(
        self,
        position: Any,
        counts: Counts,
        *,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
    ) -> None:
        """Say where the next step begins (any JSON), and how the rows of this one ended."""
        before = self.before
        self.after = Place(
            step=before.step + 1,
            position=position,
            accounts=_added(before.accounts, counts),
            done_bytes=before.done_bytes if done_bytes is None else done_bytes,
            total_bytes=before.total_bytes if total_bytes is None else total_bytes,
        )


class Steps:
    """The steps of one run of a job."""

    def __init__(  # noqa: PLR0913 - what a run consists of
        self,
        job_id: str,
        run: str,
        place: Place,
        connection: Connection,
        *,
        tell: Callable[[Progress], None],
        is_stopping: Callable[[], bool],
        is_unwanted: Callable[[], bool] = lambda: False,
        end: "Callable[[Outcome, Last], None] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self._job_id = job_id
        self._run = run
        self._connection = connection
        self._tell = tell
        self._is_stopping = is_stopping
        self._is_unwanted = is_unwanted
        self._end = end
        self._clock = clock
        self._began_at = clock()
        self._began = place
        self._told_at: float | None = None
        self._open: Step | None = None
        #: Whether the job's end is in the ledger.
        self.has_ended = False

    @property
    def position(self) -> Any:
        """Where the next step begins, as the last one said; None before the first."""
        return self.place.position

    @property
    def counts(self) -> Counts:
        """How the rows of all steps so far ended."""
        return Counts(**self.place.accounts)

    @contextmanager
    def step(self) -> Iterator[Step]:
        """Open a transaction and commit it with the job's new place, or nothing of it.

        Raises :class:`Stopping` instead when the worker stops, :class:`Unwanted`
        when the job was revoked, ``Overtaken`` if another run has it,
        ``SubjectHeld`` if its target was held. Let them pass: the worker knows
        what follows.
        """
        self.stop_if_asked()
        with transaction_on(self._connection) as cursor:
            self._open = step = Step(cursor, self.place)
            try:
                # A kind may use the cursor bare: a connection lost there is no fault of its job.
                with refusals(Phase.ROWS):
                    yield step
            finally:
                self._open = None
            if step.after is None:
                raise RuntimeError("a step must say where it moved to: call its move()")
            take_step(self._job_id, self._run, self.place, step.after, cursor)
        if self.place is self._began:
            self._told_at = None  # That this run got on must be known, should its process die next.
        self.place = step.after
        self.show(step.after)

    @contextmanager
    def look(self) -> Iterator[Cursor]:
        """Open a transaction in which to read something; it is no step of the job."""
        with transaction_on(self._connection) as cursor, refusals(Phase.ROWS):
            yield cursor

    def beat(self) -> None:
        """Say that this run lives while it waits for something else than PostgreSQL.

        Call it each second or so, in a step or between two; it raises as ``step`` does.
        """
        self.stop_if_asked()
        if self._open is None:
            with self.look() as cursor:
                say_alive(cursor)
            self.show(self.place)
        else:
            say_alive(self._open.cursor)
            self.show(self._open.after or self._open.before)

    def stop_if_asked(self) -> None:
        """Raise :class:`Stopping` or :class:`Unwanted` if it is so; for work between steps."""
        if self._is_unwanted():
            raise Unwanted("revoked")
        if self._is_stopping():
            raise Stopping(f"the worker stops, job {self._job_id!r} goes on elsewhere")

    def end(self, outcome: Outcome, last: "Last") -> None:
        """Commit the job's end; ``last`` is done in that transaction, after the ledger's row.

        Raises ``Overtaken`` before ``last`` is called if another run has the
        job. Only for what must come between the two; who returns an outcome
        need not call it.
        """
        if self._end is None:
            raise RuntimeError("these steps have no end: they were made for a look at them")
        self._end(outcome, last)
        self.has_ended = True

    def show(self, place: Place) -> None:
        """Tell who waits how far the job is, committed or not; cheap to call often."""
        now = self._clock()
        if self._told_at is None or now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._tell(self._progress(place, now - self._began_at))

    def _progress(self, place: Place, seconds: float) -> Progress:
        done_bytes = place.done_bytes - self._began.done_bytes
        left = None
        if place.total_bytes is not None and done_bytes > 0:
            left = max(0, place.total_bytes - place.done_bytes) * seconds / done_bytes
        return Progress(
            rows=place.rows,
            done_bytes=place.done_bytes,
            total_bytes=place.total_bytes,
            quarantined=place.accounts.get("quarantined", 0),
            rows_per_second=(place.rows - self._began.rows) / max(seconds, 1e-3),
            remaining_seconds=left,
            went_on=self.place.step > self._began.step,
        )


class LongKind(Kind[Payload]):
    """A kind of which each job takes many transactions; set ``limits.jobs`` to 1."""

    hears: ClassVar[bool] = True
    goes_on: ClassVar[bool] = True

    def takes_long(self, payload: Payload) -> bool:  # noqa: ARG002 - all do
        """Every job does."""
        return True

    @abstractmethod
    def run_long(self, job: Job[Payload], steps: "Steps") -> Outcome:
        """Do the job step by step, from ``steps.position`` on; say how it ended.

        The outcome's counts are those of the steps. With QUEUED the job runs
        again later, from its last step on; an exception buries it.
        """

    def run(self, jobs: Sequence[Job[Payload]], cursor: Cursor) -> list[Outcome]:
        """Never called: jobs of this kind go step by step."""
        raise NotImplementedError(f"{self.name} runs step by step, by run_long")


def _added(accounts: Mapping[str, int], counts: Counts) -> dict[str, int]:
    return {name: accounts.get(name, 0) + count for name, count in asdict(counts).items()}
