"""What we use of billiard, psycopg2 and Celery's result store beside their public API.

Each test names its hook: when one fails after an upgrade, that hook broke.
"""

import inspect
import signal
import threading
from inspect import signature
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from billiard.pool import Pool as BilliardPool
from celery import Celery
from celery.backends.redis import RedisBackend
from celery.concurrency.prefork import TaskPool
from kombu import Connection
from psycopg2.pool import ThreadedConnectionPool

from worker.transport import broker_settings


def test_backend_writes_the_meta_that_we_write() -> None:
    """backend._get_result_meta and get_key_for_task make what stock AsyncResult reads."""
    with Celery("x", broker="memory://", backend="redis://", set_as_current=False) as app:
        meta = app.backend._get_result_meta(result=1, state="SUCCESS", traceback=None, request=None)

        assert isinstance(app.backend, RedisBackend)
        assert {"status", "result", "traceback", "children", "date_done"} <= meta.keys()
        assert b"celery-task-meta-j" == app.backend.get_key_for_task("j")


def test_backend_has_what_results_in_bulk_need(result_url: str) -> None:
    """backend.client, task_keyprefix, expires, failure_expires, encode: what a pipeline needs."""
    with Celery("x", broker="memory://", backend=result_url, set_as_current=False) as app:
        backend = app.backend
        meta = backend._get_result_meta(
            result={"rows": 1}, state="SUCCESS", traceback=None, request=None
        )
        key = backend.get_key_for_task("j")
        with backend.client.pipeline(transaction=False) as pipe:
            pipe.set(key, backend.encode(meta | {"task_id": "j"}), ex=backend.expires)
            pipe.execute()

        assert backend.task_keyprefix + b"j" == key
        assert {"rows": 1} == app.AsyncResult("j").get(timeout=60)
        assert 86400 == backend.expires == backend.failure_expires


def test_pool_keeps_idle_connections(database: str) -> None:
    """psycopg2.pool: minconn, raised after opening none, is how many idle ones are kept."""
    pool = ThreadedConnectionPool(0, 3, database)
    pool.minconn = 3

    connections = [pool.getconn() for _ in range(3)]
    for connection in connections:
        pool.putconn(connection)

    assert [0, 0, 0] == [connection.closed for connection in connections]
    pool.closeall()


def test_pool_calls_back_about_a_lost_process() -> None:
    """billiard: accept, answer and the loss of a process reach the callbacks that we pass."""
    accepted: list[int] = []
    ends: list[Any] = []
    done = threading.Semaphore(0)

    def note(end: Any) -> None:
        ends.append(end)
        done.release()

    with BilliardPool(1, lost_worker_timeout=0.2) as pool:
        for function, argument in ((abs, -1), (signal.raise_signal, signal.SIGKILL)):
            pool.apply_async(
                function,
                (argument,),
                accept_callback=lambda pid, _: accepted.append(pid),
                callback=note,
                error_callback=note,
            )
            assert done.acquire(timeout=60)

    answer, lost = ends
    assert 1 == answer
    assert isinstance(cause_of(lost), WorkerLostError)
    assert 2 == len(accepted)


def test_time_limit_is_told_with_its_seconds() -> None:
    """billiard: what error_callback gets of a time limit holds the limit."""
    try:
        raise TimeLimitExceeded(5)
    except TimeLimitExceeded:
        info = ExceptionInfo()

    assert isinstance(cause_of(info), TimeLimitExceeded)
    assert (5,) == cause_of(info).args


def cause_of(info: ExceptionInfo) -> BaseException:
    """Return the error inside, wrapped in its traceback's text or not, as the dispatcher does."""
    cause: BaseException = getattr(info.exception, "exc", info.exception)
    return cause


def test_pool_ends_the_process_of_a_job() -> None:
    """celery.concurrency.prefork: TaskPool.terminate_job sends a signal to one process."""
    assert ["self", "pid", "signal"] == list(signature(TaskPool.terminate_job).parameters)
    assert {"accept_callback", "callback", "error_callback", "timeout"} <= set(
        signature(BilliardPool.apply_async).parameters
    )
    assert "self.on_apply(" in inspect.getsource(TaskPool.apply_async)


def test_sentinel_url_names_its_master() -> None:
    """The master's name in a Sentinel URL reaches kombu, which takes none in the URL."""
    url = "sentinel://:secret@one:26379/0?master_name=jobs"
    settings = broker_settings(url, lease_seconds=15, prefetch_bytes=1, key_prefix="")

    with Connection(
        settings["broker_url"], transport_options=settings["broker_transport_options"]
    ) as connection:
        assert "one" == connection.hostname
        assert "jobs" == connection.transport_options["master_name"]
