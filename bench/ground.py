"""Where a subject's processes run, and the short programs that are asked for something."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Place, Servers
from bench.subjects.subject import ROOT, Home, Subject

TAIL_CHARACTERS = 3000


class RunFailed(Exception):
    """A subject did not do its work; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where processes run: their servers and logs, tree of the product, Python of the peers."""

    servers: Servers
    folder: Path
    tree: Path
    peers_python: Path

    def python(self, subject: Subject) -> str:
        """Return the Python of a subject; peers never meet the product's libraries."""
        if subject.home is not Home.PEERS:
            return sys.executable
        if not self.peers_python.exists():
            raise RunFailed(f"{self.peers_python} does not exist, run make bench once")
        return str(self.peers_python)

    def cwd(self, subject: Subject) -> Path:
        """Return the folder whose modules come first."""
        return self.tree if subject.home is Home.PRODUCT else ROOT

    def env(self, subject: Subject, place: Place) -> dict[str, str]:
        """Return the environment of a subject's processes: ours, its settings, the tree."""
        tree = self.cwd(subject)
        paths = (tree, tree / "client" / "src", ROOT)
        path = os.pathsep.join(map(str, paths))
        return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path, **subject.env(place)}

    def ask(self, subject: Subject, place: Place, arguments: Sequence[str]) -> str:
        """Run a short program of a subject and return what it prints."""
        done = subprocess.run(
            [self.python(subject), *arguments],
            cwd=ROOT,
            env=self.env(subject, place),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RunFailed(
                f"{subject.name}: {arguments} failed:\n{done.stderr[-TAIL_CHARACTERS:]}"
            )
        return done.stdout
