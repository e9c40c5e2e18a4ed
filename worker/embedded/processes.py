"""Wait for processes and end them, by id and never by name."""

import time
from collections.abc import Callable, Sequence

import psutil

POLL_SECONDS = 0.02
KILL_SECONDS = 30.0


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether the condition came true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def find(binary: str, marker: str) -> list[psutil.Process]:
    """Return the processes of this program whose command line holds the marker."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == binary and marker in " ".join(process.info["cmdline"] or ())
    ]


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all below it; empty if it is gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes: Sequence[psutil.Process]) -> None:
    """End processes by SIGKILL and wait until they are gone."""
    for process in processes:
        if not _is_gone(process):
            process.kill()
    wait(lambda: all_gone(processes), KILL_SECONDS)


def all_gone(processes: Sequence[psutil.Process]) -> bool:
    """Return whether none of them runs any more."""
    return all(_is_gone(process) for process in processes)


def _is_gone(process: psutil.Process) -> bool:
    # In a container whose first process reaps nobody, the dead stay as zombies.
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE) or not process.is_running()
    except psutil.NoSuchProcess:
        return True
