"""A target that has become slow: batches shrink until they end in time, and grow again with it."""

import re
from collections.abc import Callable, Sequence

import pytest

from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

MOST_JOBS = 32
SETTINGS = {
    "CELERIAC_BATCH_JOBS": str(MOST_JOBS),
    "CELERIAC_STATEMENT_SECONDS": "0.5",
    "CELERIAC_LOCK_SECONDS": "0.2",
}
#: A batch of 32 takes too long, one of 8 does not, on a slow machine either.
SLOWLY = """
CREATE FUNCTION shop.take_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.03);
    RETURN NEW;
END $$;
CREATE TRIGGER take_time BEFORE INSERT ON shop.alpha
    FOR EACH ROW EXECUTE FUNCTION shop.take_time();
"""
_SETTLED = re.compile(r"event='batch settled' task='celeriac.ingest' jobs=(\d+)")


@pytest.mark.storm
def test_batches_shrink_and_grow_with_the_target(
    site: Site, make_worker: Callable[..., Worker]
) -> None:
    """After repeated timeouts fewer jobs go together; when the target is quick again, as many."""
    site.query(SLOWLY)
    slow, quick = ([f"{name}-{n}" for n in range(6 * MOST_JOBS)] for name in ("slow", "quick"))
    worker = make_worker(site.env | SETTINGS)

    send(site, slow)
    worker.start()
    wait_for(lambda: len(site.states(*slow)) == len(slow), what="the slow jobs")
    while_slow = sizes(worker)
    site.query("DROP TRIGGER take_time ON shop.alpha")
    send(site, quick)
    wait_for(lambda: len(site.states(*quick)) == len(quick), what="the quick jobs")
    site.wait_until_settled()
    afterwards = sizes(worker)[len(while_slow) :]

    assert {"committed"} == set(site.states(*slow, *quick).values())
    assert MOST_JOBS == while_slow[0]
    assert MOST_JOBS // 2 in while_slow
    assert MOST_JOBS == max(afterwards)
    assert 12 * MOST_JOBS == sum(while_slow) + sum(afterwards)


def sizes(worker: Worker) -> list[int]:
    """Return how many jobs each batch had that was settled so far."""
    return [int(jobs) for jobs in _SETTLED.findall(worker.log)]


def send(site: Site, ids: Sequence[str]) -> None:
    """Send one-row jobs whose producer asks for no result, all at once."""
    with site.stock.connection_for_write() as connection:
        producer = connection.Producer()
        with producer.batch(max_size=len(ids)):
            for id_ in ids:
                site.send(id_, "alpha", [{"n": 1}], ignore_result=True, producer=producer)
