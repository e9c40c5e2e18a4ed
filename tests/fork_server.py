"""A process that has loaded the libraries once and forks those that tests start.

``python -m tests.fork_server DESCRIPTOR``, the number of a socket to whoever asks: each request
is a line of JSON, either what to run, which three descriptors come with, or whose end is asked
for; each answer is a line as well. It ends with the socket.

Nothing of ours is loaded before the fork, and no library has seen a setting: what is forked finds
its environment, its folder and its files as a process that was started by its command does.
"""

import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
from dataclasses import dataclass
from typing import Any

#: What ``celery worker`` and ``python -m worker`` load of others before they are ready.
LIBRARIES = (
    "billiard.heap",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "billiard.synchronize",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.worker",
    "flower.command",
    "importlib.readers",
    "kombu.matcher",
    "kombu.pidbox",
    "kombu.transport.redis",
    "msgspec",
    "prometheus_client",
    "psutil",
    "psycopg2.extras",
    "psycopg2.pool",
    "psycopg2.sql",
    "pydantic",
    "redis.sentinel",
    "structlog",
    "tomllib",
)
_STREAMS = 3


@dataclass(frozen=True, slots=True)
class Order:
    """What to run, as ``python -m module arguments`` would in this environment and folder."""

    module: str
    arguments: list[str]
    env: dict[str, str]
    folder: str


class Server:
    """The side of the socket that forks."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._streams: list[int] = []

    def serve(self) -> Order | None:
        """Answer until nobody asks any more; a forked process returns with what it is to run."""
        while line := self._line():
            asked = json.loads(line)
            if isinstance(asked, int):
                self._answer(_end_of(asked))
                continue
            pid = os.fork()
            if not pid:
                return self._take_on(Order(**asked))
            self._forget_streams()
            self._answer(pid)
        return None

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            data, streams, _, _ = socket.recv_fds(self._connection, 65_536, _STREAMS)
            if not data:
                return b""
            self._received += data
            self._streams += streams
        line, _, self._received = self._received.partition(b"\n")
        return line

    def _answer(self, what: int | None) -> None:
        self._connection.sendall(json.dumps(what).encode() + b"\n")

    def _take_on(self, order: Order) -> Order:
        """Have the session, streams, folder and environment of a process of its own."""
        os.setsid()
        for number, stream in enumerate(self._streams):
            os.dup2(stream, number)
        self._forget_streams()
        self._connection.close()
        os.chdir(order.folder)
        os.environ.clear()
        os.environ.update(order.env)
        return order

    def _forget_streams(self) -> None:
        for stream in self._streams:
            os.close(stream)
        self._streams.clear()


def _end_of(pid: int) -> int | None:
    """Return how a process ended, once; None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def load() -> None:
    """Import the libraries; none of them may have started a thread, which a fork would lose."""
    for name in LIBRARIES:
        importlib.import_module(name)
    if "cffi" in sys.modules:
        # Where something else brought it, billiard has it parse a line of C in each child.
        importlib.import_module("cffi.cparser")
    assert 1 == threading.active_count(), threading.enumerate()
    # Collections in the processes to come leave what they share alone.
    gc.collect()
    gc.freeze()


def run(order: Order) -> Any:
    """Run the module as the program of this process."""
    further = order.env.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in further if path and path not in sys.path]
    sys.argv = [order.module, *order.arguments]
    return runpy.run_module(order.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    load()
    taken = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    if taken:
        run(taken)
