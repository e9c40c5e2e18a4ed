"""One temporary folder for everything that a run of the tests starts, gone at its end.

What is killed cleans up nothing: the logs of workers, the shared memory of
their pools. The folders of the tests themselves stay where pytest keeps the
last few of them.
"""

import os
import shutil
import tempfile
from multiprocessing.util import Finalize

#: Where pytest puts its own folders; without it they would follow TMPDIR.
_PYTESTS_OWN = "PYTEST_DEBUG_TEMPROOT"
#: Below that of multiprocessing's own folder, which is in ours and goes first.
_LAST = -200


def enter() -> None:
    """Make the folder, for this process and all that it starts; its exit removes it."""
    os.environ.setdefault(_PYTESTS_OWN, tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix="celeriac-tests-")
    os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # Python remembers what it found first.
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=_LAST)
