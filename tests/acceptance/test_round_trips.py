"""How often a worker speaks to Redis: by the batch, whatever the number of jobs in it."""

from collections.abc import Callable, Sequence

from celery import Celery

from tests.acceptance.site import QUEUE, TASK, Site
from tests.waiting import wait_for
from tests.workers import Worker

JOBS = 2_000
BATCH = 500
#: Reserving, results, settling; events go out in portions, a few a second. One for each job would
#: be several times as many, and what a slow machine adds does not come near.
MOST_CALLS = JOBS // 5


def test_redis_is_spoken_to_by_the_batch(site: Site, make_worker: Callable[..., Worker]) -> None:
    """Reserving, results, events and acks of a backlog take a few calls a batch."""
    ids = [f"job-{n}" for n in range(JOBS)]
    send_all(site, ids)
    site.redis.config_resetstat()
    settings = {"CELERIAC_BATCH_JOBS": str(BATCH), "CELERIAC_EVENTS_PER_SECOND": "100000"}

    worker = make_worker(site.env | settings).start()
    # Of the ledger: to ask Redis would be counted, too.
    wait_for(lambda: committed(site) == JOBS, what="all jobs to be committed")
    worker.stop()

    calls = {name: stats["calls"] for name, stats in site.redis.info("commandstats").items()}
    # The script that stores results tells each of them to whoever waits.
    portions = calls["cmdstat_publish"] - JOBS
    scripts = calls["cmdstat_evalsha"] + calls["cmdstat_eval"]
    assert 0 == site.unsettled()
    assert (True, True) == (scripts <= MOST_CALLS, portions <= MOST_CALLS), calls


def committed(site: Site) -> int:
    """Count the jobs that are committed."""
    ((count,),) = site.query("SELECT count(*) FROM celeriac.job WHERE state = 'committed'")
    return int(count)


def send_all(site: Site, ids: Sequence[str]) -> None:
    """Send jobs that want results, many at a time; nobody here waits for any."""
    kwargs = {"target": "alpha", "rows": [{"n": 1}]}
    with (
        Celery(broker=site.broker_url, set_as_current=False) as stock,
        stock.producer_or_acquire() as producer,
        producer.batch(max_size=500),
    ):
        for id_ in ids:
            stock.send_task(TASK, kwargs=kwargs, task_id=id_, queue=QUEUE, producer=producer)
