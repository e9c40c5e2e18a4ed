"""What tests fork from a loaded process is like a program that was started by its command."""

import json
import os
import signal
from pathlib import Path

from tests.forked import ROOT, Forked

#: Runs the code that follows, as any module runs what it is for.
RUN = ["timeit", "--number", "1", "--repeat", "1", "--setup"]
TELL = """
import json, os, sys
ours = {"celeriac", "config", "postgres", "tasks", "tests", "worker"}
print(json.dumps({
    "environment": dict(os.environ), "folder": os.getcwd(),
    "leads": os.getsid(0) == os.getpid(), "arguments": sys.argv[1:3],
    "loaded": sorted({name.partition(".")[0] for name in sys.modules} & ours),
    "celery": "celery.worker" in sys.modules, "threads": len(os.listdir("/proc/self/task")),
}))
"""


def test_forked_process_has_what_it_was_given_alone(tmp_path: Path) -> None:
    """Its environment, arguments, folder and session are its own; nothing of ours is loaded yet."""
    environment = {"PATH": os.environ["PATH"], "ONLY": "this"}

    with (tmp_path / "said").open("wb") as said:
        ended = Forked([*RUN, TELL, "pass"], env=environment, stdout=said).wait()

    told = json.loads((tmp_path / "said").read_text().splitlines()[0])
    assert 0 == ended
    assert {
        "environment": environment,
        "folder": str(ROOT),
        "leads": True,
        "arguments": RUN[1:3],
        # The package that the server itself is of.
        "loaded": ["tests"],
        "celery": True,
        "threads": 1,
    } == told


def test_end_of_a_forked_process_is_told() -> None:
    """By its exit code, or by the signal that ended it."""
    refuses = Forked(["timeit", "--no-such-option"], env=os.environ)
    waits = Forked([*RUN, "import signal; signal.pause()"], env=os.environ)
    before = waits.poll()

    waits.kill()

    assert (2, None, -signal.SIGKILL) == (refuses.wait(), before, waits.wait())
