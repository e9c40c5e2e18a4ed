"""Say what a kind of work is: its name, its payload, its limits, what it does.

A kind knows nothing of Celery, of the driver or of committing. The worker
finds it by name, hands it decoded jobs and a cursor inside an open
transaction, and records the outcomes in that same transaction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from celeriac.contract import State
from postgres import Cursor
from postgres.snapshot_cursor import SnapshotCursor
from postgres.whole import Write

if TYPE_CHECKING:
    from tasks.long_kind import Steps

Payload = TypeVar("Payload")

#: Of a reason. It goes into the ledger, the log, the result and Flower, whatever was sent.
MAX_REASON_CHARACTERS = 2_000


class BadPayload(Exception):
    """A payload that can never succeed; its job is buried with these words."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one batch of a kind, and how long it may run."""

    jobs: int
    rows: int
    body_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Preview:
    """What the arguments of a job seem to say, before anybody checked them."""

    subject: str
    rows: int
    text: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How the rows of a job ended; the five add up to its rows."""

    inserted: int = 0
    updated: int = 0
    ignored: int = 0
    superseded: int = 0
    quarantined: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return the accounts of both."""
        return Counts(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.ignored + other.ignored,
            self.superseded + other.superseded,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True, slots=True)
class Job(Generic[Payload]):
    """One accepted job, its payload decoded and checked."""

    id: str
    payload: Payload
    #: For how long it was asked to wait so far, by this worker.
    waited_seconds: float = 0.0
    #: How long ago it came to this worker, if jobs of its kind may take long.
    aside_seconds: float = 0.0
    #: Whether it was tried alone, and collided as often as it may: if something of it always
    #: does, that has to be found now, or the job is buried.
    is_last_try: bool = False


class Waits(StrEnum):
    """How a job waits that is QUEUED again."""

    #: Until its subject is free, and with it all jobs of that subject; in the end it is held.
    WITH_ITS_SUBJECT = "with its subject"
    #: The same, but for trouble that passes by itself: held only if no more jobs can wait here.
    AS_LONG_AS_IT_TAKES = "as long as it takes"
    #: By itself, longer each time; nobody waits with it, and nothing is counted.
    BY_ITSELF = "by itself"
    #: Nothing stood in its way, only time: it was not begun, and goes first.
    NOT_AT_ALL = "not at all"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended.

    ``state`` is COMMITTED, DEAD (with ``error``), CANCELLED (with ``error``),
    HELD (``error`` says why the subject is closed), QUEUED (``error`` says what
    it waits for, ``waits`` how; nothing of it was written and it runs again
    later) or WORKING (it takes long: nothing of it was written, and it goes on
    in ``run_long``). ``result`` is JSON; without one, a committed job answers
    with its counts. ``closes`` names what is closed for a job that is HELD or
    QUEUED, where that is not its subject.
    """

    job_id: str
    state: State
    counts: Counts = field(default_factory=Counts)
    result: Mapping[str, Any] | None = None
    error: str | None = None
    closes: str | None = None
    waits: Waits = Waits.WITH_ITS_SUBJECT

    def __post_init__(self) -> None:
        if self.error is not None:
            object.__setattr__(self, "error", bounded(self.error))


def bounded(reason: str) -> str:
    """Return a reason without its middle, should it be longer than reasons may be."""
    if len(reason) <= MAX_REASON_CHARACTERS:
        return reason
    left = MAX_REASON_CHARACTERS // 2
    return f"{reason[:left]} … {len(reason) - 2 * left:,} characters … {reason[-left:]}"


#: Opens a transaction in which a kind may look at the database before its jobs are claimed.
Look = Callable[[], AbstractContextManager[Cursor]]


@dataclass(frozen=True, slots=True)
class WholeWrites:
    """All that some jobs write; ``others`` are the places of jobs that take more than that."""

    writes: Sequence[Write]
    others: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker's child process offers to the kinds it runs."""

    catalog: Path
    artifacts: str
    inbox: Path | None
    #: Opens a read-only snapshot: one transaction whose queries all see one instant.
    snapshot: Callable[[], AbstractContextManager[SnapshotCursor]]
    report_seconds: float
    #: URLs below which file jobs may read, beside the inbox, and the most bytes of a file.
    file_prefixes: Sequence[str] = ()
    file_max_bytes: int = 1 << 40
    #: Whether somebody wished that the job of this id ends; cheap to ask often.
    is_unwanted: Callable[[str], bool] = lambda _: False
    #: How long a small report that is finished may wait for its companions, and so the most that
    #: one may take in company.
    company_seconds: float = 0.25
    #: Whether reports are read from another database than the one of the ledger.
    reads_elsewhere: bool = False


class Kind(ABC, Generic[Payload]):
    """One kind of work; subclass it, name an instance in ``CELERIAC_KINDS``."""

    #: Task name on the wire, and the queue it is consumed from.
    name: ClassVar[str]
    queue: ClassVar[str]
    #: A ``msgspec.Struct``; its fields, in order, are the task's arguments.
    payload: type[Payload]
    limits: Limits
    #: Whether its running jobs ask ``Tools.is_unwanted`` or their steps, and end soon once they
    #: are. Of others, who is revoked with ``terminate`` dies with its process.
    hears: ClassVar[bool] = False
    #: Whether ``run_long`` goes on after the last step of a run that was interrupted.
    goes_on: ClassVar[bool] = False
    #: Whether it opens ``Tools.snapshot``. A worker of others does well without that database.
    reads_reports: ClassVar[bool] = True

    @property
    def may_take_long(self) -> bool:
        """Whether some of its jobs take many transactions: it has a ``run_long`` of its own."""
        return type(self).run_long is not Kind.run_long

    @property
    def writes_whole(self) -> bool:
        """Whether the kind may say what jobs write: it has a ``write_whole`` of its own."""
        return type(self).write_whole is not Kind.write_whole

    def open(self, tools: Tools) -> None:
        """Prepare in a child process, once, after the fork; read declarations here."""

    @abstractmethod
    def subject(self, payload: Payload) -> str:
        """Name what the job is about: a target, a report."""

    def rows(self, payload: Payload) -> int:  # noqa: ARG002 - for subclasses
        """Count the rows that the job has to account for."""
        return 0

    def check(self, payload: Payload) -> None:
        """Raise :class:`BadPayload` if the payload can never succeed."""

    @abstractmethod
    def run(self, jobs: Sequence[Job[Payload]], cursor: Cursor) -> list[Outcome]:
        """Do the jobs inside the open transaction; one outcome a job, any order.

        Never commit or roll back. An exception undoes the whole batch; its
        jobs are then run one by one, so that only the guilty one suffers.
        """

    def takes_long(self, payload: Payload) -> bool:  # noqa: ARG002 - for subclasses
        """Say that a job goes to ``run_long`` straight away, and not to ``run`` before."""
        return False

    def run_long(self, job: Job[Payload], steps: "Steps") -> Outcome:
        """Do a job that takes long, alone, in steps that are transactions of their own."""
        raise NotImplementedError(f"{self.name} has no long jobs, got job {job.id!r} ({steps})")

    def write_whole(
        self,
        payloads: Sequence[Payload],  # noqa: ARG002 - for subclasses
        look: Look,  # noqa: ARG002 - for subclasses
    ) -> WholeWrites | None:
        """Say what jobs write, if that is all they do: the short way, one round trip a batch.

        The writes are then one statement with the jobs' claims, in the order
        given. If all goes well, each job is recorded as committed with all its
        rows inserted; if anything is refused, nothing happened and ``run``
        gets these jobs. None sends all of them to ``run`` at once.
        """
        return None

    def preview(self, arguments: Mapping[str, Any]) -> Preview:  # noqa: ARG002 - for subclasses
        """Look at arguments that nobody checked yet: to bound a batch, and for Flower.

        Must not raise, whatever the arguments are. Runs in the main process.
        """
        return Preview(subject="", rows=1, text=self.name)
