"""The workers of a run, from the first start to the last trace that they leave."""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from random import Random

import psutil

from tests.faults.crash_points import ORPHANS_LIVE
from tests.waiting import wait_for
from tests.workers import Worker

_KILLED_CHILD = re.compile(r"pid:(\d+) exited with 'signal 9 \(SIGKILL\)'")


class Crew:
    """Workers with two children each on the same settings."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.app = "tests.faults.planted"
        #: Whether every second worker's children outlive it; Linux would end them with it.
        self.orphans_live = False
        #: All that were ever started, dead ones too: their logs are evidence.
        self.workers: list[Worker] = []

    def start(self, workers: int) -> None:
        """Start so many at once, and wait until all consume."""
        for _ in range(workers):
            self.add()
        for worker in self.workers:
            worker.wait_ready()

    def add(self) -> None:
        """Start one without waiting for it."""
        orphans_live = self.orphans_live and len(self.workers) % 2
        env = {**self.env, ORPHANS_LIVE: "1"} if orphans_live else self.env
        self.workers.append(Worker(env, concurrency=2, app=self.app).start(wait=False))

    def replace_dead(self, workers: int = 2) -> None:
        """Fill up to so many, also after those that die at once, until one consumes, whichever."""

        def filled_up() -> list[Worker]:
            for _ in range(workers - sum(worker.is_running for worker in self.workers)):
                self.add()
            return self.living()

        wait_for(filled_up, what="a worker to be ready")

    def living(self) -> list[Worker]:
        """Return the workers that consume."""
        return [worker for worker in self.workers if worker.is_running and worker.is_ready]

    def stop(self) -> None:
        """Ask all at once to stop; none of their processes may stay behind."""
        for orphan in self._orphans() if self.orphans_live else ():
            orphan.kill()
        running = [worker for worker in self.workers if worker.is_running]
        for worker in running:
            worker.wait_ready()
            os.kill(worker.pid, signal.SIGTERM)
        wait_for(lambda: not any(one.is_running for one in running), what="their end")
        wait_for(lambda: not self.processes(), what="the last child to end")
        assert [0] * len(running) == [worker.returncode for worker in running]

    def kill_any(self, random: Random) -> None:
        """Kill a child, or else a main process, whose children the kernel ends."""
        worker = random.choice(self.living())
        children = worker.children()
        if children and random.random() < 0.75:
            with suppress(ProcessLookupError):
                os.kill(random.choice(children), signal.SIGKILL)
        else:
            worker.kill(children=False)

    def kill(self) -> None:
        """End whatever is left."""
        for process in self.processes():
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """Return every process of these workers that is alive, orphans included."""
        return list(_in_sessions({worker.pid for worker in self.workers}))

    def lost_children(self) -> int:
        """Count the batches whose child died, by the word of the workers."""
        return sum(worker.log.count("a child process was lost") for worker in self.workers)

    def killed_children(self) -> set[int]:
        """Return the children that the workers saw end by SIGKILL."""
        found = (_KILLED_CHILD.finditer(worker.log) for worker in self.workers)
        return {int(match[1]) for matches in found for match in matches}

    def killed_workers(self) -> int:
        """Count the main processes that ended by SIGKILL."""
        return sum(worker.returncode == -signal.SIGKILL for worker in self.workers)

    def _orphans(self) -> list[psutil.Process]:
        mains = {worker.pid for worker in self.workers}
        return [one for one in self.processes() if one.pid not in mains and one.ppid() not in mains]


def _in_sessions(leaders: set[int]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            # A process that only waits for its parent is none.
            if os.getsid(process.pid) in leaders and process.status() != psutil.STATUS_ZOMBIE:
                yield process
