"""Keep jobs coming from a stock producer, a process of its own, until it is stopped."""

import os
from pathlib import Path

from tests.forked import Forked

#: More than any run lasts for: the load ends when it is stopped.
ENDLESS = 1_000_000


class Load:
    """One producer under way; its history outlives it."""

    def __init__(self, folder: Path, broker_url: str, result_url: str) -> None:
        self.history = folder / "history.jsonl"
        self._log = folder / "producer.log"
        self._urls = ("--broker", broker_url, "--result", result_url)
        self._process: Forked | None = None

    def start(
        self, *, seed: int, jobs: int = ENDLESS, rate: float = 100, bad_share: float = 0.002
    ) -> None:
        """Begin to send."""
        options = {"history": self.history, "seed": seed, "jobs": jobs, "rate": rate}
        options |= {"bad-share": bad_share}
        words = [f"--{name}={value}" for name, value in options.items()]
        command = ["tests.faults.producer", *self._urls, *words]
        with self._log.open("ab") as log:
            self._process = Forked(command, env=os.environ, stdout=log)

    def wait(self) -> None:
        """Wait until all was sent."""
        assert self._process is not None
        assert self._process.wait() == 0, self._log.read_text()

    def stop(self) -> None:
        """End it wherever it is: what it was sending is in doubt."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
