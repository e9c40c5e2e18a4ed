"""Whatever ends a report, and whoever dies with it: no query of it is left in PostgreSQL."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from celery import Celery

from tests.integration.shop import query
from tests.waiting import wait_for
from tests.workers import Worker

pytestmark = pytest.mark.storm

ROUNDS = 12
REPORT = "celeriac.report"
SLOW = """/* celeriac
title = "Slow"
format = "csv"
[params.n]
type = "int"
*/
SELECT :n AS n, pg_sleep(600)
"""
ACTIVE = (
    "SELECT query FROM pg_stat_activity"
    " WHERE datname = current_database() AND state = 'active' AND query LIKE '/* celeriac %'"
)


@pytest.fixture
def env(worker_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A catalog of one report that takes ten minutes."""
    catalog = tmp_path / "catalog"
    (catalog / "reports").mkdir(parents=True)
    (catalog / "reports" / "slow.sql").write_text(SLOW)
    (catalog / "targets.toml").touch()
    more = {"CELERIAC_CATALOG": str(catalog), "CELERIAC_CRASH_LIMIT": "100"}
    return worker_env | more | {"CELERIAC_LEASE_SECONDS": "1"}


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def kill_a_child(worker: Worker, _: Celery, __: str) -> None:
    kill(random.choice([*psutil.Process(worker.pid).children()]).pid)


def kill_all(worker: Worker, _: Celery, __: str) -> None:
    worker.kill()


def kill_the_main_process(worker: Worker, _: Celery, __: str) -> None:
    worker.kill(children=False)


def revoke(_: Worker, stock: Celery, id_: str) -> None:
    stock.control.revoke(id_)


def terminate(_: Worker, stock: Celery, id_: str) -> None:
    stock.control.revoke(id_, terminate=True)


ENDS = (kill_a_child, kill_all, kill_the_main_process, revoke, terminate)


def test_no_query_outlives_its_report(
    env: dict[str, str], make_worker: Callable[..., Worker]
) -> None:
    """Revoked, or its child, its main process or all of its worker killed: the server runs none."""
    database = env["CELERIAC_DATABASE_URL"]
    choose = random.Random(5)
    worker = make_worker(env, queues=REPORT, concurrency=2).start()
    with Celery(broker=env["CELERIAC_BROKER_URL"], set_as_current=False) as stock:
        for number in range(ROUNDS):
            id_ = f"slow-{number}"
            kwargs = {"name": "slow", "params": {"n": number}}
            stock.send_task(REPORT, kwargs=kwargs, task_id=id_, queue=REPORT)
            wait_for(lambda id_=id_: is_running(database, id_), what=f"{id_} to run")
            before = backends(database)

            end = choose.choice(ENDS)
            end(worker, stock, id_)
            wait_for(lambda before=before: not before & backends(database), what=end.__name__)

            if not worker.is_running:
                worker = make_worker(env, queues=REPORT, concurrency=2).start()
            stock.control.revoke(id_)
            wait_for(lambda id_=id_: state(database, id_) == "cancelled", what=f"end of {id_}")

    assert [] == query(database, ACTIVE)


def is_running(database: str, id_: str) -> bool:
    """Tell whether the server runs a query of a job."""
    return any(f"job={id_} " in text for (text,) in query(database, ACTIVE))


def backends(database: str) -> set[tuple[object, ...]]:
    """Return the sessions that run a report; with their age, since numbers come again."""
    return set(query(database, ACTIVE.replace("query", "pid, backend_start", 1)))


def state(database: str, id_: str) -> str | None:
    """Return how a job stands in the ledger."""
    found = query(database, "SELECT state FROM celeriac.job WHERE id = %s", (id_,))
    return str(found[0][0]) if found else None
