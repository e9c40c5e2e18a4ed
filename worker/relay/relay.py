"""The life of a relay: claim what is due, push it, and see to it that Redis still knows it.

Several may run at once. A claim is committed before its push; the push and
its number are one script. So whatever dies between the two leaves a number in
PostgreSQL that Redis does not have, and that is what is pushed again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from uuid import uuid4

from postgres import relay as store
from postgres.errors import PostgresError
from postgres.transaction import Lender
from worker import events
from worker.health.sign import Tell, tell_nobody
from worker.relay.broker import BROKER_ERRORS, Broker
from worker.relay.horizon import Horizon
from worker.relay.judge import must_close
from worker.relay.message import Writer
from worker.relay.trouble import Trouble

MOST_JOBS = 1_000
MOST_BYTES = 4 * 1024 * 1024
POLL_SECONDS = 0.05
CHECK_SECONDS = 1.0
RETIRE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Push:
    """Messages by list, and the number of the push that they are."""

    number: int
    messages: Mapping[str, Sequence[bytes]]
    jobs: int


@dataclass(slots=True)
class Relay:
    """One relay; ``name`` is of this process alone."""

    name: str
    pool: Lender
    broker: Broker
    queues: Mapping[str, str]
    clock: Callable[[], float] = time.monotonic
    #: Who is told after each turn how it went.
    tell: Tell = tell_nobody
    _writer: Writer = field(default_factory=Writer, init=False)
    _horizon: Horizon = field(default_factory=Horizon, init=False)
    _epoch: str | None = field(default=None, init=False)
    #: Claimed, and perhaps pushed: the answer did not come.
    _unsure: _Push | None = field(default=None, init=False)
    _check_at: float = field(default=0.0, init=False)
    _retire_at: float = field(default=0.0, init=False)

    def run(self, stop: Event) -> None:
        """Relay until asked to stop; waits for PostgreSQL and Redis, however long they are away."""
        trouble = Trouble(self.clock)
        while not stop.is_set():
            try:
                pause = self.turn()
                trouble.is_over()
                self.tell("")
            except PostgresError as error:
                # Nobody knows whether a claim was committed: begin again.
                self._epoch = self._unsure = None
                pause = trouble.with_postgres(error)
                self.tell(f"PostgreSQL is in trouble: {error}")
            except BROKER_ERRORS as error:
                pause = trouble.with_broker(error)
                self.tell(f"the broker is in trouble: {error}")
            if pause:
                stop.wait(pause)
        self._leave()

    def turn(self) -> float:
        """Do what there is to do now; return how long to wait before the next turn."""
        if self._unsure is not None:
            self._push(self._unsure, again=True)
        now = self.clock()
        if now >= self._check_at:
            self._check()
            self._check_at = self.clock() + CHECK_SECONDS
        if self._epoch is None:
            self._epoch = self._open()
        return self._relay(self._epoch)

    def _relay(self, epoch: str) -> float:
        """Claim what is due and push it."""
        started = self.clock()
        since = self._horizon.since(started)
        claim = store.claim_due(epoch, since, MOST_JOBS, MOST_BYTES, self.pool)
        self._horizon.looked(claim.newest, started, self.clock())
        if not claim.jobs:
            return POLL_SECONDS
        self._push(self._written(claim))
        return 0.0 if len(claim.jobs) > MOST_JOBS // 2 else POLL_SECONDS

    def _written(self, claim: store.Claim) -> _Push:
        messages: dict[str, list[bytes]] = defaultdict(list)
        for job in claim.jobs:
            queue = self.queues.get(job.task, job.task)
            priority, message = self._writer.write(job, queue)
            messages[self.broker.list_of(queue, priority)].append(message)
        return _Push(claim.push, messages, len(claim.jobs))

    def _push(self, push: _Push, *, again: bool = False) -> None:
        if self._epoch is None:
            self._unsure = None
            return
        self._unsure = push
        is_known = self.broker.memory.push(self._epoch, push.number, push.messages, again=again)
        self._unsure = None
        if not is_known:
            # Redis or PostgreSQL went back, or somebody took us for dead: the check finds out.
            self._epoch, self._check_at = None, 0.0

    def _check(self) -> None:
        """Compare PostgreSQL's numbers with Redis's memory; make due again what it forgot."""
        if self._epoch is not None:
            store.beat(self._epoch, self.pool)
        epochs = store.read_epochs(self.pool)
        seen = self.broker.memory.read([one.epoch for one in epochs])
        for one in epochs:
            if must_close(one, seen[one.epoch], self.name, self._epoch):
                self._close(one.epoch)
        if all(one.epoch != self._epoch or one.is_closed for one in epochs):
            self._epoch = None
        if self.clock() >= self._retire_at:
            self._retire_at = self.clock() + RETIRE_SECONDS
            self.broker.memory.forget(store.retire_epochs(self.pool))

    def _close(self, epoch: str) -> None:
        if epoch == self._epoch:
            self._epoch = None
        # Redis first: a push of that epoch that is still under way must not come after the count.
        remembered = self.broker.memory.close(epoch)
        freed = store.close_epoch(epoch, remembered, self.pool)
        if freed:
            self._horizon.reset()
            events.jobs_due_again(relay=self.name, jobs=freed)

    def _open(self) -> str:
        epoch = str(uuid4())
        # Redis first: what PostgreSQL knows of and Redis does not counts as forgotten.
        self.broker.memory.open(epoch)
        store.open_epoch(epoch, self.name, self.pool)
        return epoch

    def _leave(self) -> None:
        """Close what is ours, so that nobody has to wait whether we come back."""
        try:
            if self._unsure is not None:
                self._push(self._unsure, again=True)
            if self._epoch is not None:
                self._close(self._epoch)
        except (PostgresError, *BROKER_ERRORS) as error:
            events.relay_left_open(relay=self.name, reason=str(error))
