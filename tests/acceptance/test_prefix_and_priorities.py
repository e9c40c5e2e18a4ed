"""A deployment that shares its Redis by a key prefix, and whose producers set priorities."""

from collections.abc import Callable

from celery import Celery

from tests.acceptance.site import QUEUE, TASK, Site
from tests.waiting import wait_for
from tests.workers import Worker

PREFIX = "shop:"
#: kombu's on Redis: the lowest number is the most urgent.
PRIORITIES = (9, 6, 3, 0)
JOBS = 3


def test_urgent_jobs_of_a_prefix_go_first(site: Site, make_worker: Callable[..., Worker]) -> None:
    """Each priority commits before any lower one, whatever came first; all keys have the prefix."""
    ids = {n: [f"{n}-{number}" for number in range(JOBS)] for n in PRIORITIES}
    options = {"global_keyprefix": PREFIX}
    with Celery(broker=site.broker_url, set_as_current=False) as stock:
        stock.conf.broker_transport_options = options
        for priority, names in ids.items():
            for id_ in names:
                kwargs = {"target": "alpha", "rows": [{"n": 1}]}
                stock.send_task(TASK, kwargs=kwargs, task_id=id_, queue=QUEUE, priority=priority)
    settings = {
        "CELERIAC_KEY_PREFIX": PREFIX,
        "CELERIAC_BATCH_JOBS": str(JOBS),
        "CELERIAC_PREFETCH_JOBS": str(3 * JOBS),
    }

    worker = make_worker(site.env | settings).start()
    every = [id_ for names in ids.values() for id_ in names]
    wait_for(lambda: len(site.states(*every)) == len(every), what="all jobs to end")
    strange = [key for key in site.redis.keys("*") if not key.startswith(PREFIX.encode())]
    worker.stop()

    in_order = site.query("SELECT left(id, 1)::int FROM celeriac.job ORDER BY committed_at, id")
    assert sorted(PRIORITIES * JOBS) == [priority for (priority,) in in_order]
    assert [] == strange
    assert 0 == sum(site.redis.llen(key) for key in site.redis.keys(f"{PREFIX}{QUEUE}*"))
