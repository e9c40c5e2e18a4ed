"""A lone message is handed over while its slab is still to be filled; nothing gets lost by that."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, pools
from redis import Redis

from tests.integration.test_reserve import connected, consuming, places
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey
from worker.transport.handover import Handover
from worker.transport.reservation import Reservation
from worker.waiting import Waiting

TASK = "celeriac.ingest"
PREPARED = "prepared"
NOTHING_IS_LEFT = (0, 0)


@dataclass
class Taker:
    """A consumer that takes plain jobs, and does with each what the test wants."""

    connection: Connection
    app: Celery
    server: Redis
    then: Callable[[], object] = lambda: None
    taken: list[list[Waiting]] = field(default_factory=list)

    @property
    def channel(self) -> Any:
        """The channel whose messages it takes."""
        return self.connection.default_channel

    @property
    def reservation(self) -> Reservation:
        """What it holds."""
        found: Reservation = self.channel.reservation
        return found

    @property
    def handover(self) -> Handover:
        """How it gets what it holds."""
        found: Handover = self.channel.handover
        return found

    def take(self, jobs: Sequence[Waiting]) -> None:
        """Take jobs, as a dispatcher does."""
        self.taken.append(list(jobs))
        then, self.then = self.then, lambda: None
        then()

    def listen(self, until: Callable[[], object]) -> None:
        """Let the loop turn until something is true."""

        def turned() -> object:
            with suppress(TimeoutError):
                self.connection.drain_events(timeout=0.05)
            return until()

        wait_for(turned, what="the jobs")

    def wait_idly(self) -> None:
        """Let the loop turn until nothing but the next message is awaited."""
        self.listen(lambda: self.channel._command == "BLMOVE")

    def send(self, *ids: str) -> None:
        """Send plain jobs as stock Celery does."""
        for id_ in ids:
            self.app.send_task(TASK, kwargs={"target": "t", "rows": []}, task_id=id_, queue=TASK)

    def surprise(self, id_: str) -> None:
        """Send a plain job when the wait for the next message has only just begun."""
        self.app.send_task(TASK, kwargs={"target": "t", "rows": []}, task_id=id_, queue=PREPARED)
        waited = self.channel._number
        self.listen(lambda: self.channel._number != waited and self._is_blocked())
        self.server.lmove(PREPARED, TASK)

    def _is_blocked(self) -> bool:
        blocked = self.channel._command == "BLMOVE"
        return blocked and bool(self.server.info("clients")["blocked_clients"])

    def settle(self) -> None:
        """Say that all that was taken is over."""
        self.reservation.done_with([job for jobs in self.taken for job in jobs])
        assert self.reservation.flush()

    def ids(self) -> list[list[str]]:
        """Return the ids as they were taken."""
        return [[job.id for job in jobs] for jobs in self.taken]


@pytest.fixture
def server(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker as it is, beside kombu."""
    with valkey_server.client() as client:
        yield client


@pytest.fixture
def taker(broker_url: str, server: Redis) -> Iterator[Taker]:
    """An idle worker's side of the broker."""
    app = Celery(broker=broker_url, set_as_current=False)
    with app, connected(broker_url) as connection, consuming(connection):
        taker = Taker(connection, app, server)
        taker.reservation.plain_tasks = {TASK}
        taker.reservation.intake = taker.take
        taker.wait_idly()
        yield taker


def test_it_comes_before_its_slab_is_filled(taker: Taker, server: Redis) -> None:
    """When a lone job is handed over it is under the lease, and not yet in its own slab."""
    seen: list[object] = []

    def look() -> None:
        slab = taker.reservation.keys.slab(taker.taken[0][0].slab)
        seen.extend([places(server), server.llen(slab)])

    taker.then = look
    taker.surprise("lone")
    taker.listen(lambda: taker.taken and taker.handover.early is None)

    assert [["lone"]] == taker.ids()
    assert [(0, 1), 0] == seen
    assert 1 == server.llen(taker.reservation.keys.slab(taker.taken[0][0].slab))
    taker.settle()
    assert NOTHING_IS_LEFT == places(server)


def test_its_company_follows_in_the_same_slab(taker: Taker, server: Redis) -> None:
    """What comes meanwhile is taken behind it, each in its place, and all of it is settled."""
    taker.then = lambda: taker.send("second", "third")
    taker.surprise("first")
    taker.listen(lambda: len(taker.taken) > 1)

    slab = taker.taken[0][0].slab
    assert [["first"], ["second", "third"]] == taker.ids()
    assert [(slab, 1), (slab, 2)] == [(job.slab, job.position) for job in taker.taken[1]]
    assert 3 == taker.reservation.slabs.unsettled
    taker.settle()
    assert NOTHING_IS_LEFT == places(server)


def test_a_job_may_be_over_before_its_slab_is_filled(taker: Taker, server: Redis) -> None:
    """Redis is told of its end when it has the slab, and what came behind it stays."""

    def settle_at_once() -> None:
        taker.send("behind")
        taker.settle()

    taker.then = settle_at_once
    taker.surprise("quick")
    taker.listen(lambda: len(taker.taken) > 1)

    assert not taker.reservation.slabs.holds(taker.taken[0][0])
    assert taker.reservation.slabs.holds(taker.taken[1][0])
    taker.settle()
    assert NOTHING_IS_LEFT == places(server)


def test_a_connection_that_breaks_meanwhile(taker: Taker, server: Redis, broker_url: str) -> None:
    """The job comes again, with its company; its first coming settles in vain."""

    def break_off() -> None:
        taker.send("behind")
        server.client_kill_filter(_type="normal", skipme=True)
        # Other tests' pools must not find their connections dead later.
        pools.reset()

    taker.then = break_off
    taker.surprise("first")
    with pytest.raises(taker.connection.connection_errors):
        taker.listen(lambda: False)
    with connected(broker_url) as connection, consuming(connection):
        after = Taker(connection, taker.app, server)
        after.reservation.intake = after.take
        after.reservation.start()
        after.listen(lambda: sum(map(len, after.taken)) == 2)

        assert taker.reservation is after.reservation
        assert ["first", "behind"] == [job.id for jobs in after.taken for job in jobs]
        taker.settle()
        assert (0, 2) == places(server)
        after.settle()
        assert NOTHING_IS_LEFT == places(server)


def test_a_server_that_forgets_meanwhile(taker: Taker, server: Redis) -> None:
    """What the slab holds then is given back and taken anew: no message is settled for another."""

    def forget() -> None:
        server.flushall()
        taker.send("other")

    taker.then = forget
    taker.surprise("first")
    taker.listen(lambda: len(taker.taken) > 1)

    first, other = [job for jobs in taker.taken for job in jobs]
    assert ("first", "other") == (first.id, other.id)
    assert first.slab != other.slab
    taker.reservation.done_with([first])
    assert taker.reservation.flush()
    assert (0, 1) == places(server)


@pytest.mark.parametrize("doubt", ["suspects", "cancelled"])
def test_whoever_may_be_a_suspect_is_looked_at_first(
    taker: Taker, server: Redis, doubt: str
) -> None:
    """While there are suspects or cancelled jobs, a lone job is taken before it is handed over."""
    if doubt == "suspects":
        server.hset("celeriac:suspects", "0" * 40, 1)
    else:
        server.zadd("celeriac:cancelled", {"another": 1})
    heard = threading.Event()
    taker.reservation.on_cancelled = lambda _: heard.set()
    taker.listen(lambda: taker.channel._has_doubts)
    taker.wait_idly()
    seen: list[int] = []
    taker.then = lambda: seen.append(
        int(str(server.llen(taker.reservation.keys.slab(taker.taken[0][0].slab))))
    )

    taker.surprise("lone")
    taker.listen(lambda: taker.taken)

    assert [1] == seen
    assert heard.is_set()
    taker.settle()
    server.delete(f"celeriac:{doubt}")
