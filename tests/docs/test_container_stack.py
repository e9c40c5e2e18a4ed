"""The services of docker-compose.yml work together: each by its own command and health check.

No engine runs here, so this is what it comes to without one: ordinary processes,
embedded servers, in the order in which the tests stand.
"""

import json
import re
import shutil
import signal
import sys
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.docs.compose import ours, services
from tests.docs.containers import SECRETS, Containers, free_port
from tests.docs.markdown import Block, blocks
from tests.faults.proxy import FaultProxy
from tests.waiting import wait_for
from tests.workers import ROOT
from worker.embedded import EmbeddedPostgres, valkey_server
from worker.embedded.account import server_account
from worker.embedded.binaries import postgres_programs
from worker.health.sign import read_sign

#: Those that stay up and are of this project.
LASTING = sorted(set(ours()) - {"migrate"})
#: Those that leave signs of life; and who of them needs which server all the time.
SIGNING = sorted(set(LASTING) - {"flower"})
ASKING_VALKEY = sorted(set(SIGNING) - {"schedule"})
ASKING_POSTGRES = sorted(set(SIGNING) - {"ingest", "report"})
#: What an operator puts into the catalog.
MINUTELY = """/* celeriac
title = "Flights so far"
format = "csv"

[schedule]
cron = "* * * * *"
*/
SELECT count(*) AS flights FROM public.flights
"""
FLIGHT = {
    "year": 2013, "month": 1, "day": 1, "sched_dep_time": 515, "sched_arr_time": 819,
    "carrier": "UA", "flight": 1545, "origin": "EWR", "dest": "IAH", "distance": 1400,
    "hour": 5, "minute": 15, "time_hour": "2013-01-01T10:00:00Z",
}  # fmt: skip
#: What the guide does after everything was started, and what it says that is printed.
_PAGE = blocks(ROOT / "docs" / "getting-started.md")
GUIDE = [one for one in _PAGE if one.info in ("sh", "python")][2:]
SAID = {one: two.text for one, two in pairwise(_PAGE) if two.info == "text"}
#: Its PostgreSQL is not durable, and its workers have one host's name: of two, one is counted.
OF_THIS_TEST = ("PostgreSQL: fsync is off", "queue celeriac.")
ENQUEUE = "SELECT celeriac.enqueue(%s, %s)"


class Site:
    """The deployment: its containers, and the way to its database."""

    def __init__(self, containers: Containers, way: FaultProxy, url: str, flower: int) -> None:
        self.containers = containers
        self.way = way
        self._url = url
        self._flower = flower

    def query(self, text: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a statement of the test's own, committed."""
        with closing(psycopg2.connect(self._url)) as connection, connection:
            with connection.cursor() as cursor:
                cursor.execute(text, parameters)
                return cursor.fetchall() if cursor.description else []

    def carry_out(self, task: str, kwargs: dict[str, Any]) -> tuple[str, tuple[int, int]]:
        """Enqueue a job by SQL and wait until it has committed; return its id, and its rows."""
        ((job,),) = self.query(ENQUEUE, task, json.dumps(kwargs))
        ended = (
            "SELECT state, error, rows, inserted FROM celeriac.job"
            " WHERE id = %s AND state IN ('committed', 'dead')"
        )
        ((state, error, *rows),) = wait_for(lambda: self.query(ended, job), what=task)
        assert ("committed", None) == (state, error)
        return job, tuple(rows)

    def flower(self, path: str, login: str | None) -> tuple[int, str]:
        """Ask Flower; return status and answer."""
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
        with closing(HTTPConnection("127.0.0.1", self._flower, timeout=60)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def wait_for_signs(self, names: list[str], *, of_trouble: bool) -> None:
        """Wait until services have noticed themselves that a server went, or came back."""
        for name in names:
            noticed = partial(self._has_said, name, of_trouble=of_trouble)
            wait_for(noticed, what=f"{name} to notice")

    def all_answer(self, names: list[str], status: int, words: str) -> None:
        """Wait until the health checks of these services answer so."""
        # Two at a time, for there are two processors.
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: self.containers.wait_until(name, status, words), names))

    def _has_said(self, name: str, *, of_trouble: bool) -> bool:
        sign = read_sign(self.containers.folder / name / "alive")
        is_over = not self.containers.is_running(name)
        return is_over or (sign is not None and bool(sign.trouble) == of_trouble)


@pytest.fixture(scope="module")
def site(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Both servers as compose starts them, nothing of ours yet."""
    folder = tmp_path_factory.mktemp("containers")
    socket = postgres_server.socket_dir / f".s.PGSQL.{postgres_server.port}"
    with own_database(postgres_server) as url, FaultProxy(str(socket)) as way:
        ports = {"postgres": way.port, "valkey": free_port(), "flower": free_port()}
        containers = Containers(folder, ports, server_programs(folder), {"minutely.sql": MINUTELY})
        try:
            containers.start("valkey")
            containers.wait_until("valkey", 0)
            yield Site(containers, way, url, ports["flower"])
        finally:
            containers.kill()


@contextmanager
def own_database(server: EmbeddedPostgres) -> Iterator[str]:
    """Make the account and the database as the image of PostgreSQL does, by its settings."""
    settings = services()["postgres"]["environment"]
    user, name = settings["POSTGRES_USER"], settings["POSTGRES_DB"]

    def execute(*statements: str) -> None:
        with closing(psycopg2.connect(server.url())) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    execute(f"CREATE ROLE {user} LOGIN SUPERUSER", f"CREATE DATABASE {name} OWNER {user}")
    scripts = [one.split(":")[0] for one in services()["postgres"]["volumes"] if "initdb" in one]
    url = server.url(name).replace("postgres@", f"{user}@")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        for script in scripts:
            cursor.execute((ROOT / script).read_text())
    yield url
    execute(f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {user}")


def server_programs(folder: Path) -> str:
    """Return a path of folders on which the servers' own programs are found."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(valkey_server._program())
    if shutil.which("valkey-cli") is None:
        cli = programs / "valkey-cli"
        stand_in = Path(__file__).with_name("valkey_cli.py")
        cli.write_text(f'#!/bin/sh\nexec {sys.executable} {stand_in} "$@"\n')
        cli.chmod(0o755)
    return f"{programs}:{postgres_programs(server_account())}:$PATH"


@pytest.fixture
def containers(site: Site) -> Containers:
    """The services of the deployment."""
    return site.containers


def test_servers_answer(containers: Containers) -> None:
    """The servers' own health checks say that they are there."""
    assert 0 == containers.ask("postgres")[0]
    assert 0 == containers.ask("valkey")[0]


def test_migrate_runs_once(containers: Containers) -> None:
    """The migration ends with status 0, and the others may start."""
    containers.start("migrate")

    assert 0 == containers.wait("migrate"), containers.log("migrate")


def test_everything_gets_healthy(site: Site) -> None:
    """All services of ours start from what the image holds, and say that they do well."""
    for name in LASTING:
        site.containers.start(name)

    # Each health check is a process; what a service says of itself costs nothing to look at.
    site.wait_for_signs(SIGNING, of_trouble=False)
    site.all_answer(LASTING, 0, "does well")


def test_a_row_goes_through_all(site: Site) -> None:
    """A job enqueued by SQL is relayed, ingested, and shown by Flower to who may see it."""
    job, rows = site.carry_out("celeriac.ingest", {"target": "flights", "rows": [FLIGHT]})
    path = f"/api/task/info/{job}"

    def shown() -> bool:
        status, answer = site.flower(path, SECRETS["FLOWER_BASIC_AUTH"])
        return status == 200 and json.loads(answer)["state"] == "SUCCESS"

    assert (1, 1) == rows
    wait_for(shown, what="Flower to show the job")
    assert 401 == site.flower(path, None)[0]


def test_a_report_goes_through_all(site: Site) -> None:
    """A report enqueued by SQL leaves its file where compose keeps it."""
    site.carry_out("celeriac.report", {"name": "carrier_delays", "format": "csv"})

    # Others may be there: a report of the schedule falls due each minute.
    (file,) = site.containers.artifacts.rglob("carrier_delays/*.csv")
    assert "UA," in file.read_text()


def test_a_tick_goes_through_all(site: Site) -> None:
    """A report that fell due while nobody looked is made by its schedule."""
    looked = "SELECT 1 FROM celeriac.schedule"
    wait_for(lambda: site.query(looked), what="the schedule to begin")
    site.query("UPDATE celeriac.schedule SET decided_until = decided_until - interval '10 min'")

    made = (
        "SELECT job.id FROM celeriac.tick JOIN celeriac.job ON job.id = tick.job"
        " WHERE job.state = 'committed'"
    )
    wait_for(lambda: site.query(made), what="the report of a tick")


@pytest.mark.parametrize("block", GUIDE, ids=lambda block: block.name)
def test_guide_works(site: Site, block: Block) -> None:
    """Each step of docs/getting-started.md works as it stands, one after the other."""
    text = block.text.replace("var/inbox", str(site.containers.folder / "inbox"))
    shell = ["/bin/sh", "-ec", text] if block.info == "sh" else [sys.executable, "-c", text]

    done = site.containers.run_beside("report", shell)

    if block.text == "python -m worker doctor\n":
        assert [] == [one for one in findings(done.stdout) if not one.startswith(OF_THIS_TEST)]
    else:
        assert 0 == done.returncode, done.stdout
    if block in SAID:
        assert SAID[block] == done.stdout


def findings(said: str) -> list[str]:
    """Return what the doctor found wrong."""
    assert "things looked at" in said, said
    return re.findall(r"^(?:problem|warning) +(.+)$", said, re.MULTILINE)


def test_health_tells_that_the_broker_is_gone(site: Site) -> None:
    """Without Valkey who needs it is unhealthy and says why; it notices its return."""
    containers = site.containers
    containers.tell("valkey", signal.SIGTERM)
    assert 0 == containers.wait("valkey")

    assert 0 != containers.ask("valkey")[0]
    site.wait_for_signs(ASKING_VALKEY, of_trouble=True)
    site.all_answer(sorted({*ASKING_VALKEY, "flower"}), 1, "the broker")
    containers.start("valkey")
    site.wait_for_signs(ASKING_VALKEY, of_trouble=False)


def test_health_tells_that_postgres_is_gone(site: Site) -> None:
    """Without PostgreSQL each service that needs it is unhealthy, until it is back."""
    site.way.refuse()
    site.way.cut()

    assert 0 != site.containers.ask("postgres")[0]
    site.wait_for_signs(ASKING_POSTGRES, of_trouble=True)
    site.all_answer(SIGNING, 1, "PostgreSQL")
    site.way.heal()
    site.wait_for_signs(ASKING_POSTGRES, of_trouble=False)


def test_term_ends_all(site: Site) -> None:
    """TERM to its main process ends each service within its time, with status 0 and no rest."""
    for name in LASTING:
        site.containers.tell(name, signal.SIGTERM)

    statuses = {name: site.containers.wait(name) for name in LASTING}

    assert dict.fromkeys(LASTING, 0) == statuses
    assert [] == site.containers.processes()


def test_nothing_was_written_into_the_image(containers: Containers) -> None:
    """Processes write where compose gives them a place, and nowhere in the read-only image."""
    assert containers.image_at_first == containers.files_of_image()
