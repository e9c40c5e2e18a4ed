"""The shop of ``examples/django_shop`` with everything that it needs, on psycopg2."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.integration.shop import query
from tests.waiting import wait_for
from tests.workers import ROOT

SHOP = ROOT / "examples" / "django_shop"
MANAGE = [sys.executable, str(SHOP / "manage.py")]
CONSOLE = [sys.executable, "-m", "tests.integration.django_console"]
COMMAND_SECONDS = 60
START_SECONDS = 60.0
#: Django takes psycopg 3 where it is installed; a process that meets this has psycopg2 alone.
WITHOUT_PSYCOPG = "raise ImportError('this process has psycopg2 alone')\n"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it said on whichever stream."""

    returncode: int
    text: str


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop that serves, and a console of its own."""

    env: Mapping[str, str]
    address: str
    console: subprocess.Popen[str]
    session: requests.Session = field(default_factory=requests.Session)

    def ask(self, *arguments: str) -> Said:
        """Give a command to ``manage.py``, or ``run`` and code, and return what comes of it."""
        assert self.console.stdin is not None
        assert self.console.stdout is not None
        self.console.stdin.write(json.dumps(arguments) + "\n")
        self.console.stdin.flush()
        return Said(*json.loads(self.console.stdout.readline()))

    def said(self, *arguments: str) -> str:
        """Do the same, require that it ends well, and return what was said."""
        answer = self.ask(*arguments)
        assert 0 == answer.returncode, answer.text
        return answer.text

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        return self.session.get(self.address + path, timeout=COMMAND_SECONDS)

    def send_list(self, number: str, *products: tuple[str, str]) -> requests.Response:
        """Send a price list, as a supplier does."""
        rows = [{"name": name, "price": price} for name, price in products]
        body = {"number": number, "products": rows}
        return self.session.post(f"{self.address}/price-lists/", json=body, timeout=COMMAND_SECONDS)

    def products(self) -> list[tuple[str, str]]:
        """Return names and prices, as PostgreSQL has them."""
        text = "SELECT name, price::text FROM shop_product ORDER BY name"
        return [tuple(row) for row in query(self.env["CELERIAC_DATABASE_URL"], text)]

    def jobs(self) -> int:
        """Count the jobs that there are or were, in outbox and ledger."""
        text = """
            SELECT count(*) FROM (
                SELECT id FROM celeriac.outbox UNION SELECT id FROM celeriac.job
            ) AS known
        """
        ((count,),) = query(self.env["CELERIAC_DATABASE_URL"], text)
        return int(count)


def shop_env(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of the shop's processes, which have psycopg2 alone."""
    (folder / "psycopg.py").write_text(WITHOUT_PSYCOPG)
    path = os.pathsep.join([str(folder), str(ROOT / "client" / "src"), str(ROOT)])
    return {**os.environ, **env, "PYTHONPATH": path}


@contextmanager
def serving(env: Mapping[str, str]) -> Iterator[Shop]:
    """Make the shop's tables, and serve its pages on a port of this machine."""
    subprocess.run([*MANAGE, "migrate", "-v", "0"], env=env, timeout=COMMAND_SECONDS, check=True)
    port = _free_port()
    command = [*MANAGE, "runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}"]
    pages = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pipe = subprocess.PIPE
    console = subprocess.Popen([*CONSOLE, str(SHOP)], env=env, stdin=pipe, stdout=pipe, text=True)
    try:
        wait_for(lambda: pages.poll() is not None or _answers(port), START_SECONDS, "the shop")
        assert pages.poll() is None, "the shop did not start"
        yield Shop(env, f"http://127.0.0.1:{port}", console)
    finally:
        for process in (pages, console):
            process.kill()
            process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
