"""The oldest PostgreSQL that can be had on this machine: Debian's, on a Unix socket of its own."""

from pathlib import Path

from tests import apt
from worker.embedded import EmbeddedPostgres

#: Where Debian and Ubuntu put the programs of each version.
PROGRAMS = Path("/usr/lib/postgresql")
#: Versions that Celeriac runs on and that cannot check a value without raising.
OLD = range(14, 16)
#: No server of the system's is to be started.
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


class OldPostgres(EmbeddedPostgres):
    """The embedded server with other programs."""

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder)
        self._programs = programs

    def _create_data(self) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        self._run([str(self._programs / "initdb"), f"--pgdata={self.data}", *options])


def find_programs() -> Path | None:
    """Return the oldest version's folder of programs; as root, try to install one from Debian."""
    found = _installed()
    if found is None and apt.can_install():
        _install()
        found = _installed()
    return found


def _installed() -> Path | None:
    folders = (PROGRAMS / str(version) / "bin" for version in OLD)
    return next((one for one in folders if (one / "postgres").exists()), None)


def _install() -> None:
    if not NO_CLUSTER.exists():
        NO_CLUSTER.parent.mkdir(exist_ok=True)
        NO_CLUSTER.write_text("create_main_cluster = false\n")
    for version in OLD:
        if not apt.install(f"postgresql-{version}"):
            return
