"""Every shell command of the pages is run: here, or by the test that is named for it."""

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import psycopg2
import pytest

from celeriac.contract import REPORT
from postgres.database import create_database
from postgres.migrate import migrate
from tests.acceptance.console import Console, console_on
from tests.docs.markdown import blocks, pages
from tests.docs.page_catalog import lay_out_catalog
from tests.integration.batches import body_of, child_on, deliver, settle
from tests.workers import ROOT
from worker.child import Child
from worker.delivery import Delivery
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

#: Commands that need more than a database, and who runs them: whole lines, as patterns.
RUN_BY = {
    r"make (install|lint|test)": ".ci/run",
    r"make run|\.venv/bin/python -m worker up --dir var": "tests/acceptance/test_up.py",
    r"celery -A worker\.app worker -Q celeriac\.(ingest|file,celeriac\.report)"
    r"|python -m worker (relay|schedule)"
    r"|(FLOWER_BASIC_AUTH=name:password )?celery -A worker\.app flower .*"
    r"|python -m worker health .*": "tests/docs/test_container_stack.py",
    r"celery -A worker\.app inspect [a-z]+": "tests/acceptance/test_inspect.py",
    r"python -m worker ingest .*": "tests/acceptance/test_file_jobs.py",
    r"python -m worker doctor( --json)?": "tests/acceptance/test_doctor_command.py",
    r"python -m config|python -m worker targets check": "tests/docs/test_container_stack.py",
    r"celery -A worker\.app worker .*celeriac\.ingest,shop\..*": "tests/docs/test_examples.py",
    r".*produce\.py --broker .*": "tests/acceptance/test_up.py",
    r".*stock_producer/produce\.py .*": "tests/docs/test_docs.py",
    r".*django_shop/manage\.py .*": "tests/integration/test_django_shop.py",
    r"celery -A worker\.app worker -Q celeriac\.ingest,celeriac\.report &|python -m worker relay &"
    r"|uvicorn app:app .*|psql .*fastapi_app.*": "tests/docs/test_fastapi_app.py",
}
#: Whole pages whose commands one test runs in their order.
PAGES_RUN_BY = {"docs/getting-started.md": "tests/docs/test_container_stack.py"}
#: What nobody runs, and why.
NOT_RUN = {
    r"make faults": "hours of storms, run before a release",
    r"make clean": "it removes what the tests run in",
    r"docker compose .*|mkdir -p var/inbox|cp \.env\.example \.env": "there is no engine here",
    r"pip install .*": "requirements-dev.txt has it",
    r"export .*|set [-+]a.*|\. var/env": "the shell's own",
}
#: The pages speak of entries 17 and 18.
NOTHING_YET = """
TRUNCATE celeriac.job, celeriac.outbox, celeriac.target_hold, readings CASCADE;
ALTER TABLE celeriac.quarantine ALTER COLUMN id RESTART WITH 17
"""
PRICES = "article,day,price\n1,2026-11-01,2.50\n2,2026-11-01,NA\n"


@dataclass(frozen=True)
class Line:
    """A command, and where it stands."""

    place: str
    text: str

    def is_of(self, patterns: dict[str, str]) -> bool:
        """Whether one of the patterns is for it."""
        return any(re.fullmatch(pattern, self.text) for pattern in patterns)


def lines() -> Iterator[Line]:
    """Yield every command of every shell block, without its comment."""
    for page in pages():
        for block in blocks(page):
            if block.info in ("sh", "bash"):
                for number, text in enumerate(block.text.splitlines(), block.line + 1):
                    command = re.sub(r"(^|\s+)#.*", "", text).strip()
                    if command:
                        yield Line(f"{page.relative_to(ROOT)}:{number}", command)


ALL = [one for one in lines() if one.place.split(":")[0] not in PAGES_RUN_BY]
HERE = [one for one in ALL if not one.is_of(RUN_BY | NOT_RUN)]


@dataclass(frozen=True)
class Desk:
    """Where somebody types commands: a database, a child to put jobs into it, a console."""

    database: str
    child: Child
    console: Console

    def prepare(self) -> None:
        """Set the rows and the jobs aside that the pages speak of, and nothing else."""
        with closing(psycopg2.connect(self.database)) as connection, connection:
            with connection.cursor() as cursor:
                cursor.execute(NOTHING_YET)
        readings = [{"station": "nowhere", "celsius": "warm"}, {"station": "nowhere", "celsius": 1}]
        settle(self.child, deliver("bad rows", "readings", [*readings, *readings]))
        settle(self.child, deliver("order-4711", "nowhere", [{"n": 1}]))
        settle(self.child, Delivery("no report", REPORT, body_of({"name": "nothing"})))


@pytest.fixture(scope="module")
def desk(
    postgres_server: EmbeddedPostgres,
    valkey_server: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    """A database with the pages' catalog, and no worker: what these commands do needs none."""
    name = f"shell_{uuid4().hex[:12]}"
    create_database(postgres_server.url(), name)
    database = postgres_server.url(name)
    migrate(database)
    folder, catalog = tmp_path_factory.mktemp("desk"), tmp_path_factory.mktemp("catalog")
    tables = lay_out_catalog(catalog)
    with closing(psycopg2.connect(database)) as connection, connection:
        with connection.cursor() as cursor:
            cursor.execute(tables)
    (folder / "prices.csv").write_text(PRICES)
    env = {
        "CELERIAC_BROKER_URL": valkey_server.url(0),
        "CELERIAC_RESULT_URL": valkey_server.url(1),
        "CELERIAC_DATABASE_URL": database,
        "CELERIAC_CATALOG": str(catalog),
    }
    with child_on(database, catalog=catalog) as child, console_on(env, folder) as console:
        yield Desk(database, child, console)


@pytest.mark.parametrize("line", HERE, ids=lambda line: line.place)
def test_command_works(line: Line, desk: Desk) -> None:
    """A command does what it is shown for, on what the page speaks of, with status 0."""
    desk.prepare()
    python, *arguments = shlex.split(line.text)

    done = desk.console.run(*arguments[2:], typed="y\n")

    assert ("python", ["-m", "worker"]) == (python, arguments[:2]), "nobody runs this line"
    assert 0 == done.returncode, done
    assert done.stdout.strip() or done.stderr.strip()


def test_who_runs_the_others_exists() -> None:
    """Each named test is there, and no pattern is left over from a line that is gone."""
    every = list(lines())
    unused = [one for one in {**RUN_BY, **NOT_RUN} if not any(x.is_of({one: ""}) for x in every)]

    assert [] == unused
    for place in {*RUN_BY.values(), *PAGES_RUN_BY, *PAGES_RUN_BY.values()}:
        assert (ROOT / place).is_file(), place
    said = (ROOT / ".ci/run").read_text() + (ROOT / "Makefile").read_text()
    assert all(target in said for target in ("make lint", "make test", "install:"))
