"""Ask Redis again and again for a sign of life, and keep the longest wait for one."""

import threading
import time

from tests.faults.redis_state import redis_client

PAUSE_SECONDS = 0.005


class Probe:
    """A client that looks every few milliseconds; use as a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="probe", daemon=True)
        self.looks = 0
        self.longest_seconds = 0.0

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        with redis_client(self._url) as server:
            while not self._done.wait(PAUSE_SECONDS):
                asked_at = time.monotonic()
                server.ping()
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - asked_at)
                self.looks += 1
