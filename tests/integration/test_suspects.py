"""Jobs that some process died with: in which order they have their turns."""

from collections.abc import Iterator
from hashlib import sha1

import pytest
from celery import Celery
from redis import Redis

from tests.integration.test_early_handover import TASK, Taker
from tests.integration.test_reserve import connected, consuming
from worker.embedded import EmbeddedValkey


@pytest.fixture
def server(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker as it is."""
    with valkey_server.client() as client:
        yield client


def test_those_that_died_least_come_first(broker_url: str, server: Redis) -> None:
    """Of one slab, each suspect is tried before any is tried again, else in order of arrival."""
    app = Celery(broker=broker_url, set_as_current=False)
    with app, connected(broker_url) as connection:
        taker = Taker(connection, app, server)
        taker.reservation.plain_tasks = {TASK}
        taker.reservation.intake = taker.take
        taker.send("twice", "once", "unblamed", "innocent", "once more")
        for message in server.lrange(TASK, 0, -1):
            for name, deaths in (("twice", 2), ("once", 1), ("unblamed", 0), ("once more", 1)):
                if b'"id": "%b"' % name.encode() in message:
                    server.hset("celeriac:suspects", sha1(message).hexdigest(), deaths)

        with consuming(connection):
            taker.listen(lambda: taker.taken)

    ((*jobs,),) = taker.taken
    assert ["unblamed", "innocent", "once", "once more", "twice"] == [job.id for job in jobs]
    assert [True, False, True, True, True] == [job.is_suspect for job in jobs]
    assert [0, 0, 1, 1, 2] == [job.crashes for job in jobs]
