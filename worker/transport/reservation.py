"""The jobs that this process has reserved, from the first to the last: one object a worker.

It outlives every connection: what is under our lease stays ours while the
broker is away, and is settled over whatever connection comes next.
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from importlib.resources import files
from socket import gethostname
from typing import Any, Protocol

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from worker.transport.desk import Desk
from worker.transport.keys import Keys, new_owner
from worker.transport.lease import Lease
from worker.transport.server import refuse_old
from worker.transport.slabs import WAITING_SLAB, Place, Reserved, Settling, Slabs
from worker.waiting import Waiting

#: Places of messages, slab by slab.
Parts = Sequence[tuple[int, Sequence[int]]]

_SETTLE = (files("worker.transport") / "settle.lua").read_text(encoding="utf-8")


class Intake(Protocol):
    """Who takes plain jobs."""

    def __call__(self, jobs: Sequence[Waiting]) -> None:
        """Take jobs, in the order of arrival."""


class Reservation:
    """What this worker holds, and its lease on it. For the main loop alone."""

    def __init__(
        self,
        connect: Callable[[], Redis],
        connect_for_lease: Callable[[], Redis],
        prefix: str,
        lease_seconds: float,
    ) -> None:
        self.keys = Keys(prefix, new_owner(gethostname(), os.getpid(), lease_seconds))
        self.slabs = Slabs()
        self.lease = Lease(connect_for_lease, self.keys, lease_seconds)
        #: Tasks whose jobs may skip Celery, and who takes them; none until a consumer says so.
        self.plain_tasks: Collection[str] = ()
        self.intake: Intake | None = None
        #: Who is told of ids that somebody cancelled.
        self.on_cancelled: Callable[[set[str]], None] | None = None
        #: Jobs that went Celery's way although their process died before, by place.
        self.deaths: dict[Place, int] = {}
        #: Jobs that Celery has and that did not come to us yet: they wait for their ETA.
        self.elsewhere: set[Place] = set()
        self._connect = connect
        self._desk = Desk(connect())
        #: Notes that wait for the next settling.
        self._owed = Settling()
        #: A settling that Redis did not confirm: told again as it is, before any other.
        self._unsent: Settling | None = None
        #: Celery settled a job of its own, and no batch of ours comes along to have it told.
        self.is_flush_due = False
        self._settlings = self._batches = 0
        self._is_started = self.is_released = False

    def start(self) -> None:
        """Check the server and begin to renew the lease; again after each reconnect."""
        with self._connect() as client:
            refuse_old(client.info("server"), _place_of(client))
        self.give_back_unknown()
        if not self._is_started:
            self._is_started = True
            self.lease.start()

    def start_over(self) -> None:
        """Forget everything after others gave it back; only then may we reserve again."""
        self.slabs.forget()
        self._owed, self._unsent = Settling(), None
        self.elsewhere.clear()
        self.deaths.clear()
        self.give_back_unknown()
        self._desk.ask("DEL", self.keys.recovered)

    def has_more_than_it_knows(self, slabs: int) -> bool:
        """Whether Redis has slabs of ours that were lost on their way; told only when idle."""
        return slabs > 1 and not self.slabs.numbers() and not self._owed and not self._unsent

    def give_back_unknown(self) -> None:
        """Give back what was on its way to us when a connection broke; raises RedisError."""
        if self.flush():
            numbers = {int(number) for number in self._desk.ask("HKEYS", self.keys.slabs)}
            unknown = numbers - self.slabs.numbers() - {WAITING_SLAB}
            self._owed.back += sorted(unknown, reverse=True)
            self.flush()

    def read_slab(self, number: int) -> list[bytes]:
        """Read the messages of a slab, the oldest first; raises RedisError."""
        found: list[bytes] = self._desk.ask("LRANGE", self.keys.slab(number), 0, -1)
        return found[::-1]

    def learn_cancelled(self, ids: Sequence[str]) -> set[str]:
        """Return, and tell the rest of the worker, which of these jobs somebody cancelled.

        Raises RedisError: a job that was cancelled must not start because nobody could ask.
        """
        cancelled: set[str] = set()
        if ids and self.on_cancelled is not None:
            # Half a surrogate pair is no text for Redis, but somebody may have sent it.
            names = [id_.encode("utf-8", "surrogatepass") for id_ in ids]
            times = self._desk.ask("ZMSCORE", self.keys.cancelled, *names)
            cancelled.update(id_ for id_, at in zip(ids, times, strict=True) if at is not None)
            self.on_cancelled(cancelled)
        return cancelled

    def next_batch(self, jobs: Sequence[Reserved]) -> tuple[int, Parts]:
        """Number a batch that is to leave, as none before, and say where its messages are.

        They stay there until :meth:`came_back`.
        """
        self._batches += 1
        return self._batches, self.slabs.start(jobs)

    def dispatched(self, batch: int, parts: Parts, *, alone: bool) -> None:
        """Note that a batch is on its way to a child, as soon as it is.

        Should this whole process die, these jobs are suspects, and no others.
        """
        note = {"alone": alone, "parts": parts}
        # While Redis has other slabs than we believe, places would name others' messages.
        if self._unsent is None:
            with suppress(RedisError, OSError):
                # Else not counted; the jobs themselves are safe under the lease.
                self._desk.post("HSET", self.keys.running, batch, msgspec.json.encode(note))

    def suspect(self, job: Reserved, deaths: int) -> None:
        """Note that the job's process died: once more than before if it ran alone."""
        place = self.slabs.place(job)
        if place is not None:
            self._owed.suspected.append((*place, deaths))

    def clear(self, job: Reserved) -> None:
        """Note that a suspect came through; before it is settled."""
        place = self.slabs.place(job)
        if place is not None:
            self._owed.cleared.append(place)

    def came_back(self, batch: int, jobs: Sequence[Reserved]) -> None:
        """Note that a batch is with a child no more."""
        self.slabs.stop(jobs)
        self._owed.batches.append(batch)

    def done_with(self, jobs: Iterable[Reserved]) -> None:
        """Note that jobs are over; Redis is told with the next :meth:`flush`."""
        self.slabs.settle(jobs)

    def give_back(self, jobs: Iterable[Reserved]) -> None:
        """Note that jobs go back to their queues; Redis is told with the next :meth:`flush`."""
        self.slabs.give_back(jobs)

    def give_back_elsewhere(self) -> None:
        """Give back what Celery has: it forgets such jobs with the connection."""
        self.give_back(self.elsewhere)
        self.elsewhere.clear()

    def flush(self) -> bool:
        """Tell Redis what was noted, in one round trip; False if it could not be told yet."""
        self.is_flush_due = False
        try:
            if self._unsent:
                self._tell(self._unsent)
                self._unsent = None
            # Only now: it is about slabs as Redis has them.
            self._owed.add(self.slabs.settling())
            if self._owed:
                self._settlings += 1
                self._unsent, self._owed = self._owed, Settling()
                self._tell(self._unsent)
                self._unsent = None
        except (RedisError, OSError):
            return False
        return True

    def release(self) -> None:
        """Give everything back and end the lease; a second call does nothing."""
        if not self._is_started or self.is_released:
            return
        self.is_released = True
        try:
            self.flush()
            self._owed.add(self.slabs.close())
            self.flush()
            self._desk.ask("DEL", self.keys.running)
        except (RedisError, OSError):
            # Others give it back when the lease has run out.
            self.lease.stop()
            return
        finally:
            self._desk.close()
        self.lease.stop(give_back=True)

    def _tell(self, owed: Settling) -> None:
        keys = (self.keys.slabs, self.keys.running, self.keys.suspects, self.keys.told)
        work = msgspec.json.encode(owed)
        arguments = (self.keys.slab_prefix, self._settlings, work)
        self._desk.ask("EVAL", _SETTLE, len(keys), *keys, *arguments)


def _place_of(client: Redis) -> str:
    """Say where a client connects; behind Sentinel it is not known beforehand."""
    place: Any = client.connection_pool.connection_kwargs
    return str(place.get("path") or f"{place.get('host', 'the broker')}:{place.get('port', '')}")
