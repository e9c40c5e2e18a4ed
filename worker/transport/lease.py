"""Keep this worker's claim on what it reserved, and give back what dead workers had.

A lease is a stamp in Redis that its owner renews. Its worth is that somebody
watches: each worker looks at the stamps of all others, and when one has not
changed for a whole lease, that owner's messages go back to their queues.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from importlib.resources import files
from threading import Event, Thread
from time import monotonic
from typing import Any, Protocol

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from worker import events
from worker.health.sign import Tell, tell_nobody
from worker.transport.keys import Keys
from worker.transport.watch import Watch

_RENEW = (files("worker.transport") / "renew.lua").read_text(encoding="utf-8")
_RECOVER = (files("worker.transport") / "recover.lua").read_text(encoding="utf-8")

#: How much one call of the recovery moves: others wait for Redis meanwhile.
MOST_MESSAGES = 1000
MOST_BYTES = 4 * 1024 * 1024

_MAIN_LOOP = "main loop"


class Renewal(IntEnum):
    """What became of a renewal."""

    RENEWED = 0
    #: Renewed; but others gave our jobs back before.
    RECOVERED = 1
    #: Not renewed: our jobs are being given back, and that comes to its end first.
    CONDEMNED = 2


class Progress(IntEnum):
    """How far a recovery is after one call."""

    DONE = 0
    MORE = 1
    #: The owner has renewed, or somebody else was faster.
    NOTHING = 2


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one call gave back, and how many of its messages had been dispatched."""

    progress: Progress
    jobs: int
    suspects: int


class Wording(Protocol):
    """Who says what happens: ``worker.events``, or a test that listens."""

    def lease_lost(self, *, owner: str) -> None:
        """Others gave back what this worker had."""

    def jobs_recovered(self, *, owner: str, jobs: int, suspects: int) -> None:
        """Messages of a silent owner are in their queues again."""

    def broker_silent(self, *, reason: str) -> None:
        """The lease cannot be renewed; said once until it can."""

    def broker_heard(self, *, seconds: float) -> None:
        """The lease is renewed again."""

    def main_loop_silent(self, *, seconds: float) -> None:
        """The main loop gave no sign of life for so long; the lease is left to run out."""


def connection_options(lease_seconds: float) -> dict[str, Any]:
    """Return redis-py's options for the lease's own connection.

    A server that does not answer must be noticed well before the lease is
    over, so nothing is retried inside the client. There are no health checks:
    every round is one.
    """
    seconds = lease_seconds / 4
    return {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }


def renew(client: Redis, keys: Keys) -> tuple[Renewal, dict[str, float], tuple[str, int]]:
    """Renew our stamp; return how that went, everybody's stamps, and which connection it was.

    The last tells this server from a restarted one, and this connection from
    a later one that the client made by itself.
    """
    pipe = client.pipeline(transaction=False)
    pipe.info("server")
    pipe.client_id()
    pipe.eval(_RENEW, 2, keys.owners, keys.recovered, keys.owner)
    server, connection, (renewal, flat) = pipe.execute()
    names, stamps = flat[::2], flat[1::2]
    stamp_of = {name.decode(): float(stamp) for name, stamp in zip(names, stamps, strict=True)}
    return Renewal(renewal), stamp_of, (server["run_id"], connection)


def recover(
    client: Redis,
    keys: Keys,
    stamp: float,
    *,
    most_messages: int = MOST_MESSAGES,
    most_bytes: int = MOST_BYTES,
) -> Recovery:
    """Give back some of the messages of an owner whose stamp is still this one.

    Nothing is lost or given back twice by whoever calls this at the same time
    or dies between two calls.
    """
    names = (keys.owners, keys.recovered, keys.slabs, keys.running, keys.suspects)
    arguments = (keys.owner, f"{stamp:.0f}", keys.slab_prefix, most_messages, most_bytes)
    answer: Any = client.eval(_RECOVER, len(names), *names, *map(str, arguments))
    progress, jobs, suspects = answer
    return Recovery(Progress(progress), jobs, suspects)


class Lease:
    """Hold one owner's lease in a thread with a connection of its own.

    ``connect`` makes a client that answers in bytes, with the
    :func:`connection_options`. :meth:`beat`, :meth:`hold_on` and :meth:`stop` may be
    called from any thread; the processes of the pool inherit nothing that works.
    """

    def __init__(
        self,
        connect: Callable[[], Redis],
        keys: Keys,
        lease_seconds: float,
        wording: Wording = events,
    ) -> None:
        #: Others gave our jobs back: the main loop forgets what it holds, then clears this.
        self.was_recovered = False
        #: Who is told after each round how it went; called from the lease's thread.
        self.tell: Tell = tell_nobody
        self._connect = connect
        self._keys = keys
        self._lease_seconds = lease_seconds
        self._third = lease_seconds / 3
        self._wording = wording
        self._watch = Watch(lease_seconds, keys.owner)
        #: The main loop is watched like another owner, its beats for stamps.
        self._pulse = Watch(lease_seconds, keys.owner)
        self._beats = 0
        self._is_held = False
        self._main_loop_is_silent = False
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="lease", daemon=True)
        self._client: Redis | None = None
        self._seen_connection: tuple[str, int] | None = None
        self._failures = 0
        self._silent_since = 0.0

    def start(self) -> None:
        """Begin to renew and to watch; from now on the main loop has to beat."""
        self._thread.start()

    def beat(self) -> None:
        """Give a sign of life of the main loop; without one for a whole lease it runs out."""
        self._beats += 1

    def hold_on(self) -> None:
        """Renew until :meth:`stop` without beats: the main loop ends, its jobs still run."""
        self._is_held = True

    @property
    def is_broker_silent(self) -> bool:
        """Whether the last try to renew was in vain; asked by other threads, too."""
        return self._failures > 0

    def note_recovery(self) -> None:
        """Note that others gave our jobs back, whether this thread or the main one heard of it."""
        if not self.was_recovered:
            self.was_recovered = True
            self._wording.lease_lost(owner=self._keys.owner)

    def stop(self, *, give_back: bool = False) -> None:
        """End soon, the lease running out or, on demand, all messages given back at once.

        A second call does nothing.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(self._lease_seconds)
        if give_back:
            self._give_back()

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = monotonic()
            try:
                is_unfinished = self._round(began)
                next_round = began if is_unfinished else began + self._third
            except Exception as error:  # noqa: BLE001 - this thread must outlive whatever happens
                self._note_trouble(error, began)
                next_round = monotonic() + min(self._third, self._third / 16 * 2**self._failures)
            self._stopping.wait(max(0.0, next_round - monotonic()))
        self._disconnect()

    def _round(self, now: float) -> bool:
        """Renew, and recover whoever is silent; tell whether there is more to do at once."""
        if not self._main_loop_lives(now):
            self._watch.forget()
            self.tell("the main loop stands still, the lease is not renewed")
            return False
        if self._client is None:
            self._client = self._connect()
        renewal, stamps, connection = renew(self._client, self._keys)
        self._note_answer(connection)
        self.tell("")
        silent = self._watch.look(stamps, monotonic())
        if renewal is Renewal.CONDEMNED:
            self._recover(self._client, self._keys.owner, stamps)
            return True
        if renewal is Renewal.RECOVERED:
            self.note_recovery()
        # Each has its turn, whatever is left of the one before.
        unfinished = [self._recover(self._client, owner, stamps) for owner in silent]
        return any(unfinished)

    def _main_loop_lives(self, now: float) -> bool:
        was_silent = self._main_loop_is_silent
        is_silent = bool(self._pulse.look({_MAIN_LOOP: self._beats}, now)) and not self._is_held
        self._main_loop_is_silent = is_silent
        if is_silent and not was_silent:
            self._wording.main_loop_silent(seconds=self._lease_seconds)
        return not is_silent

    def _recover(self, client: Redis, owner: str, stamps: dict[str, float]) -> bool:
        """Give back an owner's messages for a while; tell whether more is left."""
        keys = Keys(self._keys.prefix, owner)
        # Our own lease must not run out over others' jobs.
        until = monotonic() + self._third / 2
        jobs = suspects = 0
        while True:
            recovery = recover(client, keys, stamps[owner])
            jobs += recovery.jobs
            suspects += recovery.suspects
            is_unfinished = recovery.progress is Progress.MORE
            if not is_unfinished or monotonic() > until or self._stopping.is_set():
                break
        if jobs:
            self._wording.jobs_recovered(owner=owner, jobs=jobs, suspects=suspects)
        return is_unfinished

    def _note_answer(self, connection: tuple[str, int]) -> None:
        if connection != self._seen_connection:
            self._seen_connection = connection
            self._watch.forget()
        if self._failures:
            self._failures = 0
            self._wording.broker_heard(seconds=monotonic() - self._silent_since)

    def _note_trouble(self, error: Exception, began: float) -> None:
        # Nobody could renew meanwhile, perhaps: silence means nothing for now.
        self._watch.forget()
        self._disconnect()
        if not self._failures:
            self._silent_since = began
            self._wording.broker_silent(reason=str(error) or repr(error))
        self._failures += 1
        self.tell(f"the broker does not answer, the lease cannot be renewed: {error}")

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _give_back(self) -> None:
        try:
            with self._connect() as client:
                stamp: Any = client.zscore(self._keys.owners, self._keys.owner)
                while stamp is not None:
                    if recover(client, self._keys, stamp).progress is not Progress.MORE:
                        break
        except (RedisError, OSError):
            # Others do it, when the lease has run out.
            return
