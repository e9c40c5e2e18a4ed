"""Install a package of Debian's for the tests that need one: as root, once, and never for long.

A machine without a mirror should say so soon; its tests are skipped with those words.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: Of a test whose fixture may have to install something first.
INSTALLING = pytest.mark.timeout(900)

#: Processes of one run wait here for the first of them: apt-get serves one at a time.
_LOCK = Path("/run/lock/celeriac-tests-apt")
_COMMAND_SECONDS = 200
_APT = (
    *("apt-get", "--yes", "--quiet", "-o", "DPkg::Lock::Timeout=60"),
    *("-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1"),
    *("-o", "Dpkg::Options::=--force-confold"),
)


def can_install() -> bool:
    """Whether this process may ask apt-get for anything."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> str:
    """Install packages that may be there by now; return what apt-get said of its trouble.

    A list of packages that is absent or old is fetched anew.
    """
    wanted = ("install", "--no-install-recommends", *packages)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = _apt_get(*wanted)
        if said:
            _apt_get("update")
            said = _apt_get(*wanted)
    return said


def _apt_get(*arguments: str) -> str:
    try:
        done = subprocess.run(
            [*_APT, *arguments],
            check=False,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"apt-get {arguments[0]} took longer than {_COMMAND_SECONDS} s"
    return done.stderr.strip()[-500:] or "apt-get failed" if done.returncode else ""
