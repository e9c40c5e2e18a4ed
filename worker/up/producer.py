"""Run the stock Celery producer beside the workers."""

import re
import subprocess
import sys
from pathlib import Path

from worker.up.environment import ROOT

PROGRAM = ROOT / "examples" / "flights" / "produce.py"
SENT = re.compile(r"sent ([\d,]+) rows as ([\d,]+) jobs")


class Producer:
    """The producer's process; a context that ends it in any case."""

    def __init__(self, broker_url: str, log: Path) -> None:
        self._log = log
        # A session of its own: Ctrl-C is for the stack, which then ends this one.
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), "--broker", broker_url],
            stdin=subprocess.DEVNULL,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def words(self) -> str:
        """Return all that it said."""
        return self._log.read_text(errors="replace").strip()

    def sent_jobs(self) -> int | None:
        """Return how many jobs it sent; None before it says so."""
        found = SENT.search(self.words())
        return int(found[2].replace(",", "")) if found else None

    def __enter__(self) -> "Producer":
        return self

    def __exit__(self, *_: object) -> None:
        if self.returncode is None:
            self._process.kill()
        self._process.wait()
