"""Keep jobs coming from a stock producer, a process of its own, until it is stopped."""

import subprocess
import sys
from pathlib import Path

from tests.workers import ROOT

#: More than any run lasts for: the load ends when it is stopped.
ENDLESS = 1_000_000


class Load:
    """One producer under way; its history outlives it."""

    def __init__(self, folder: Path, broker_url: str, result_url: str) -> None:
        self.history = folder / "history.jsonl"
        self._log = folder / "producer.log"
        self._urls = ("--broker", broker_url, "--result", result_url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, *, seed: int, jobs: int = ENDLESS, rate: float = 100, bad_share: float = 0.002
    ) -> None:
        """Begin to send."""
        options = {"history": self.history, "seed": seed, "jobs": jobs, "rate": rate}
        options |= {"bad-share": bad_share}
        words = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "tests.faults.producer", *self._urls, *words]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def wait(self, seconds: float = 60) -> None:
        """Wait until all was sent."""
        assert self._process is not None
        assert self._process.wait(seconds) == 0, self._log.read_text()

    def stop(self) -> None:
        """End it wherever it is: what it was sending is in doubt."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
