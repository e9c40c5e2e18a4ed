"""Run many commands of ``python -m worker`` in one process, which takes its time to start.

As a program: reads a command and what is typed into it as a line of JSON,
answers with a line of what it said, and so on, until its input ends.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from tests.workers import ROOT
from worker.__main__ import main


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Console:
    """A process that runs commands, one after the other."""

    process: subprocess.Popen[str]

    def run(self, *arguments: str, typed: str = "") -> Said:
        """Run a command to its end."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([arguments, typed]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the console died"
        return Said(*json.loads(answer))

    def said(self, *arguments: str, typed: str = "") -> str:
        """Return what a command says that succeeds."""
        done = self.run(*arguments, typed=typed)
        assert 0 == done.returncode, done
        return done.stdout


@contextmanager
def console_on(env: Mapping[str, str], folder: Path = ROOT) -> Iterator[Console]:
    """Start a console with these settings, in a folder."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.console"],
        cwd=folder,
        env={**os.environ, **env, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Console(process)
    finally:
        process.kill()
        process.wait()


def serve() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        arguments, typed = json.loads(line)
        done = CliRunner().invoke(main, arguments, input=typed, prog_name="python -m worker")
        stderr = done.stderr + (repr(done.exception) if done.exception else "")
        print(json.dumps([done.exit_code, done.stdout, stderr]), flush=True)


if __name__ == "__main__":
    serve()
