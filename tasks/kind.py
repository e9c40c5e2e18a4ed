"""Say what a kind of work is: its name, its payload, its limits, what it does.

A kind knows nothing of Celery, of the driver or of committing. The worker
finds it by name, hands it decoded jobs and a cursor inside an open
transaction, and records the outcomes in that same transaction.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from celeriac.contract import State
from postgres import Cursor
from postgres.whole import Write

Payload = TypeVar("Payload")


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended.

    ``state`` is COMMITTED, DEAD (with ``error``), HELD (``error`` says why the
    subject is closed) or QUEUED (``error`` says what it waits for; nothing of
    it was written and it runs again later). ``result`` is JSON; without one,
    a committed job answers with its counts. ``closes`` names what is closed
    for a job that is HELD or QUEUED, where that is not its subject.
    """

    job_id: str
    state: State
    counts: Counts = field(default_factory=Counts)
    result: Mapping[str, Any] | None = None
    error: str | None = None
    closes: str | None = None


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
    snapshot: Callable[[], AbstractContextManager[Cursor]]
    report_seconds: float
    #: URLs below which file jobs may read, beside the inbox, and the most bytes of a file.
    file_prefixes: Sequence[str] = ()
    file_max_bytes: int = 1 << 40


class Kind(ABC, Generic[Payload]):
    """One kind of work; subclass it, name an instance in ``CELERIAC_KINDS``."""

    #: Task name on the wire, and the queue it is consumed from.
    name: ClassVar[str]
    queue: ClassVar[str]
    #: A ``msgspec.Struct``; its fields, in order, are the task's arguments.
    payload: type[Payload]
    limits: Limits

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
