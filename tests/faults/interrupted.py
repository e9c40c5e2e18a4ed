"""A worker that is asked to stop once more at the worst moment: while it holds a lock.

Planted from outside: the first to take the lock after TERM has come is sent
QUIT with the lock in the hand, as a busy host may have it.
"""

import os
import signal
from threading import Lock, current_thread, main_thread
from typing import Any

from celery.signals import worker_ready, worker_shutting_down

from worker.app import app

__all__ = ["app"]


class InterruptedLock:
    """A lock that sends QUIT to whoever takes it in the main thread, once it is armed."""

    def __init__(self, *, is_armed: bool) -> None:
        self.is_armed = is_armed
        self._lock = Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        if self.is_armed and current_thread() is main_thread():
            self.is_armed = False
            os.kill(os.getpid(), signal.SIGQUIT)

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def _plant(sender: Any, **_: object) -> None:
    if os.environ["TEST_INTERRUPTED_AT"] == "signal":
        worker_shutting_down.lock = InterruptedLock(is_armed=True)
        return
    lock = sender.hub._ready_lock = InterruptedLock(is_armed=False)

    def arm(how: str, **_: object) -> None:
        lock.is_armed = how == "Warm"

    worker_shutting_down.connect(arm, weak=False)


worker_ready.connect(_plant, weak=False)
