"""What the processes of the stack are told, and the file that tells it to others."""

import os
import socket
import zlib
from collections.abc import Mapping
from pathlib import Path

from worker.up.leftovers import MARK
from worker.up.servers import Servers

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENT = ROOT / "client" / "src"
LOOPBACK = "127.0.0.1"
#: Ports that Flower is looked for at, by folder: the same one at every start, if it is free.
_FIRST_PORT, _PORTS = 20_000, 10_000


def stack_settings(
    folder: Path, servers: Servers, port: int, given: Mapping[str, str]
) -> dict[str, str]:
    """Return the settings of the stack.

    What the caller's environment says wins, except for the servers that were
    just started: a stray URL must not send the demo to somebody's database.
    """
    return {
        "CELERIAC_CATALOG": str(ROOT / "catalog"),
        "CELERIAC_ARTIFACTS": (folder / "artifacts").as_uri(),
        "CELERIAC_INBOX": str(folder / "inbox"),
        **{name: value for name, value in given.items() if name.startswith("CELERIAC_")},
        "CELERIAC_BROKER_URL": servers.broker_url,
        "CELERIAC_RESULT_URL": servers.result_url,
        "CELERIAC_DATABASE_URL": servers.database_url,
        "CELERIAC_REPORT_DATABASE_URL": servers.database_url,
        # The demo's producer is stock Celery and knows of no prefix.
        "CELERIAC_KEY_PREFIX": "",
        "FLOWER_URL": f"http://{LOOPBACK}:{port}",
    }


def process_environment(
    folder: Path, settings: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the whole environment of a process of the stack."""
    return {
        **given,
        **settings,
        MARK: str(folder),
        # The caller's own folders stay: a kind of theirs may live there.
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(ROOT), str(CLIENT), given.get("PYTHONPATH")])
        ),
        "PYTHONUNBUFFERED": "1",
        # Flower's API answers nobody unless told so; here only this machine can ask.
        "FLOWER_UNAUTHENTICATED_API": "true",
    }


def write_settings(path: Path, settings: Mapping[str, str]) -> None:
    """Write the settings as lines ``KEY=value``; the file appears whole, for the owner only."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text("".join(f"{name}={value}\n" for name, value in sorted(settings.items())))
    draft.replace(path)


def flower_port(folder: Path, given: Mapping[str, str]) -> int:
    """Return the port that Flower was told, the folder's own, or another if that is taken."""
    if "FLOWER_PORT" in given:
        return int(given["FLOWER_PORT"])
    own = _FIRST_PORT + zlib.crc32(str(folder.resolve()).encode()) % _PORTS
    for port in (own, 0):
        with socket.socket() as probe:
            # As Flower itself does: a port that was just given back is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no free port on {LOOPBACK}")
