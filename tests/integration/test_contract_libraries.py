"""What we use of kombu, billiard, psycopg2 and Celery's result store beside their public API.

Each test names its hook: when one fails after an upgrade, that hook broke.
"""

import inspect
import signal
import threading
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from billiard.pool import Pool as BilliardPool
from celery import Celery
from celery.backends.redis import RedisBackend
from celery.worker import control
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, MultiChannelPoller, QoS
from psycopg2.pool import ThreadedConnectionPool

from worker.envelope import Transport
from worker.transport import broker_settings


def test_backend_writes_the_meta_that_we_write() -> None:
    """backend._get_result_meta and get_key_for_task make what stock AsyncResult reads."""
    with Celery("x", broker="memory://", backend="redis://", set_as_current=False) as app:
        meta = app.backend._get_result_meta(result=1, state="SUCCESS", traceback=None, request=None)

        assert isinstance(app.backend, RedisBackend)
        assert {"status", "result", "traceback", "children", "date_done"} <= meta.keys()
        assert b"celery-task-meta-j" == app.backend.get_key_for_task("j")


def test_control_commands_can_be_replaced() -> None:
    """celery.worker.control.Panel: commands are found by name, the last one registered counts."""
    before = dict(control.Panel.data)
    try:
        control.control_command(name="revoke")(len)
        assert len is control.Panel.data["revoke"]
    finally:
        control.Panel.data.update(before)


def test_transport_options_are_known() -> None:
    """kombu's Redis channel takes every option that we give it; a wrong name would be ignored."""
    options = broker_settings("redis://", visibility_seconds=1, key_prefix="p")

    given = options["broker_transport_options"].keys()
    assert given <= {*Channel.from_transport_options, "visibility_timeout"}


def test_popped_messages_pass_parse_response() -> None:
    """kombu's Redis channel pops by client.parse_response, of a client that _create_client made."""
    assert "self.client.parse_response(" in inspect.getsource(Channel._brpop_read)
    assert "self._create_client(" in inspect.getsource(Channel.client.func)
    assert "worker.reserve:Transport" == TRANSPORT_ALIASES["redis"]
    assert "redis" == Transport.driver_type


def test_the_poller_starts_and_reads_by_the_two_functions_that_are_replaced() -> None:
    """kombu asks a channel to start by _brpop_start, and to read by its handler for BRPOP."""
    assert "channel._brpop_start()" in inspect.getsource(MultiChannelPoller._register_BRPOP)
    assert "'BRPOP': self._brpop_read" in inspect.getsource(Channel.__init__)
    assert "self._brpop_read()" in inspect.getsource(Channel.close)


def test_the_books_are_written_by_append_alone() -> None:
    """kombu enters a delivered message by QoS.append, in the form that our script writes."""
    source = inspect.getsource(QoS.append)
    assert "zadd(self.unacked_index_key" in source
    assert "hset(self.unacked_key, delivery_tag" in source
    assert "dumps([message._raw, EX, RK])" in source
    assert "M, EX, RK = loads(" in inspect.getsource(QoS.restore_by_tag)


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
            assert done.acquire(timeout=15)

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
