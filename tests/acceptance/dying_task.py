"""Plain tasks of Celery that end their own process, as often as a file says."""

import os
import signal
from pathlib import Path

from celery import shared_task

QUEUE = "tests.plain"


@shared_task(name="tests.dying", queue=QUEUE)
def dying(deaths: str) -> str:
    """Die while the file, a number, says that there are deaths left; then return."""
    left = int(Path(deaths).read_text())
    if left:
        Path(deaths).write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@shared_task(name="tests.dying_once", queue=QUEUE, reject_on_worker_lost=False)
def dying_once(deaths: str) -> str:
    """Do the same, but fail at the first death."""
    return str(dying(deaths))
