"""The processes of one subject: started, watched, measured and ended by their ids."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bench.ground import TAIL_CHARACTERS, Ground, RunFailed
from bench.servers import Place, Servers
from bench.subjects.subject import Subject

START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02


class Crew:
    """The running main processes of a subject."""

    def __init__(self, subject: Subject, place: Place, ground: Ground) -> None:
        self._subject = subject
        self._place = place
        self._ground = ground
        self._logs = [
            ground.folder / f"{subject.name}-{number}.log"
            for number in range(len(subject.processes))
        ]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Return when all take jobs."""
        for command, path in zip(self._subject.processes, self._logs, strict=True):
            with path.open("wb") as log:
                self._processes.append(
                    subprocess.Popen(
                        [self._ground.python(self._subject), *command],
                        cwd=self._ground.cwd(self._subject),
                        env=self._ground.env(self._subject, self._place),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        # Ctrl-C must not reach the workers before the harness ends them.
                        start_new_session=True,
                    )
                )
        deadline = time.monotonic() + START_SECONDS
        while not all(self._is_ready(path) for path in self._logs):
            self.check(deadline, "to be ready")
            time.sleep(POLL_SECONDS)

    def check(self, deadline: float, what: str) -> None:
        """Raise RunFailed when a process has ended or the time is over."""
        if any(process.poll() is not None for process in self._processes):
            raise RunFailed(f"{self._subject.name} ended, and was {what}:\n{self.tail()}")
        if time.monotonic() > deadline:
            raise RunFailed(f"{self._subject.name} was {what}, and was not in time:\n{self.tail()}")

    @property
    def servers(self) -> Servers:
        """The servers that the processes use."""
        return self._ground.servers

    @property
    def main_pids(self) -> list[int]:
        """The processes that the subject's command started."""
        return [process.pid for process in self._processes]

    @property
    def child_pids(self) -> list[int]:
        """All below them."""
        return [
            child.pid
            for pid in self.main_pids
            for child in psutil.Process(pid).children(recursive=True)
        ]

    def tail(self) -> str:
        """Return the last words of every process."""
        return "\n".join(path.read_text(errors="replace")[-TAIL_CHARACTERS:] for path in self._logs)

    def stop(self) -> None:
        """Kill all, children included: what they had to do is verified, and nothing is kept."""
        families = [one for pid in self.main_pids for one in _family(pid)]
        for one in families:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for process in self._processes:
            process.wait()
        psutil.wait_procs(families, timeout=STOP_SECONDS)

    def _is_ready(self, path: Path) -> bool:
        return path.read_text(errors="replace").count(self._subject.ready) >= (
            self._subject.ready_times
        )


@contextmanager
def working(subject: Subject, place: Place, ground: Ground) -> Iterator[Crew]:
    """Yield the subject's workers, ready; end them afterwards."""
    crew = Crew(subject, place, ground)
    try:
        crew.start()
        yield crew
    finally:
        crew.stop()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
