"""End processes of an earlier stack on the same folder whose `up` was killed hard."""

import signal
from pathlib import Path

import psutil

from worker.embedded import processes

#: In the environment of every process of a stack; tells its processes from everybody else's.
MARK = "UP_FOLDER"
STOP_SECONDS = 30.0


def stop_leftovers(folder: Path) -> None:
    """Ask them to finish, then end those that do not; the folder must be locked by us."""
    found = [process for process in psutil.process_iter() if _mark_of(process) == str(folder)]
    ids = {process.pid for process in found}
    for process in found:
        if process.ppid() not in ids:  # a main process; it ends its own children
            process.send_signal(signal.SIGTERM)
    processes.wait(lambda: processes.all_gone(found), STOP_SECONDS)
    processes.kill(found)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        environment: dict[str, str] = process.environ()
    except (psutil.Error, OSError):
        return None  # gone, or somebody else's
    return environment.get(MARK)
