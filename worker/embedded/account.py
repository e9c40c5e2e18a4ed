"""Which account runs PostgreSQL, and folders that only that account may enter.

PostgreSQL refuses to run as root. Containers often have no other user at hand,
so root lends the server an account that owns nothing else.
"""

import os
import pwd
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from worker.embedded.lock import ServerFailed

SHARED_FOLDER = Path("/var/tmp")  # kept over a reboot, and every account can reach it
SHORT_FOLDER = Path("/tmp")
#: What fits into a socket's address everywhere, with some letters to spare.
MAX_SOCKET_CHARACTERS = 100
LONGEST_SOCKET_NAME = "/.s.PGSQL.5432"
PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group; ``lent`` if root runs the server under another name."""

    user: int
    group: int
    lent: bool

    def launch_options(self) -> Mapping[str, Any]:
        """Keyword arguments of ``subprocess`` that run a program as this account."""
        if not self.lent:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}


def server_account() -> Account:
    """Return the account that may run PostgreSQL: our own, unless we are root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), lent=False)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, lent=True)
    raise ServerFailed(
        "root cannot run PostgreSQL, and there is no account postgres or nobody; "
        "run as an ordinary user"
    )


def folder_name(folder: Path) -> str:
    """Return a short name for a folder, the same at every start."""
    return f"celeriac-{sha256(str(folder).encode()).hexdigest()[:8]}"


def socket_folder(folder: Path) -> Path:
    """Return where sockets of this folder go: their addresses must be short and plain.

    A comma would part the address into two hosts, and not every client unquotes a blank.
    """
    inside = folder / "run"
    address = f"{inside}{LONGEST_SOCKET_NAME}"
    if len(address) <= MAX_SOCKET_CHARACTERS and PLAIN_PATH.fullmatch(address):
        return inside
    return SHORT_FOLDER / folder_name(folder)


def make_private(folder: Path, account: Account) -> None:
    """Make a folder that this account alone may enter; refuse one of somebody else.

    The name may be guessed by others where everybody may write, hence the look
    at what is there before anything is put into it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
        if account.lent:
            os.chown(folder, account.user, account.group)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (
            account.user,
            os.geteuid(),
        ):
            raise ServerFailed(f"{folder} belongs to somebody else, remove it first") from None
        if found.st_uid != account.user:
            os.chown(folder, account.user, account.group)
        folder.chmod(0o700)
