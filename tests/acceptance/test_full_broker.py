"""A broker whose memory is full: it refuses new jobs, and workers empty it nevertheless."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError

from tests.acceptance.site import Site, make_site
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

FULL = "the broker's memory is full"
ROOM = "the broker's memory has room again"


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    """A deployment with a broker of its own."""
    server = EmbeddedValkey(tmp_path)
    server.start()
    yield make_site(database, server, tmp_path)
    server.remove()


def test_worker_starts_on_a_full_broker(site: Site, make_worker: Callable[..., Worker]) -> None:
    """It says once that memory is full, commits what waits, and goes on when there is room."""
    send(site, "first")
    fill(site)

    worker = make_worker(site.env).start()
    site.wait_for_state("first", "committed")
    site.wait_until_settled()
    with pytest.raises(OutOfMemoryError):
        site.push("one more")
    make_room(site)
    wait_for(lambda: ROOM in worker.log, what="the worker to see the room")
    send(site, "second")
    site.wait_for_state("second", "committed")

    assert 1 == worker.log.count(FULL)
    assert 1 == worker.log.count(ROOM)
    assert 0 == worker.log.count("Connection to broker lost")
    assert ["celeriac.ingest\x06\x16\x06\x16celeriac.ingest"] == [
        binding.decode() for binding in site.redis.smembers("_kombu.binding.celeriac.ingest")
    ]


def test_worker_connects_again_to_a_full_broker(
    site: Site, make_worker: Callable[..., Worker]
) -> None:
    """After its connections broke it takes what waits, and says what is true of that alone."""
    worker = make_worker(site.env).start()
    with site.closed_gate():
        site.send("running", "gate", [{"n": 1}], ignore_result=True)
        site.wait_for_the_gate()
        send(site, "waiting")
        fill(site)
        site.redis.client_kill_filter(_type="normal", skipme=True)
        wait_for(lambda: FULL in worker.log, what="the worker to be back")

    site.wait_for_state("waiting", "committed")
    site.wait_until_settled()

    assert {"running": "committed"} == site.states("running")
    assert 1 == worker.log.count(FULL)
    assert "Connection to broker lost" in worker.log
    assert "DeprecationWarning" not in worker.log


def send(site: Site, id_: str) -> None:
    """Send a job whose producer asks for no result."""
    site.send(id_, "alpha", [{"id": 1}], ignore_result=True)


def fill(site: Site) -> None:
    """Let the broker have no memory left."""
    site.redis.config_set("maxmemory", 1)


def make_room(site: Site) -> None:
    """Let it have as much as it likes again."""
    site.redis.config_set("maxmemory", 0)
