"""Ask Redis again and again for a sign of life, and keep the longest that it worked before one.

Counted is its processor's time: on a machine that others keep busy, a wait
by the clock says more about them.
"""

import threading

import psutil

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
            process = psutil.Process(server.info("server")["process_id"])
            while not self._done.wait(PAUSE_SECONDS):
                before = _worked_seconds(process)
                server.ping()
                worked = _worked_seconds(process) - before
                self.longest_seconds = max(self.longest_seconds, worked)
                self.looks += 1


def _worked_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
