"""``reports list``, ``check`` and ``run`` as an operator types them; no broker listens."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from tests.acceptance.console import Console, console_on
from tests.waiting import wait_for
from tests.workers import ROOT

WAIT_SECONDS = 60

ORDERS = """/* celeriac
title = "Orders"
format = "csv"
max_rows = 3

[params.ids]
type = "int[]"
max_length = 5

[params.status]
type = "enum"
values = ["new", "sent"]
required = true
*/
SELECT n, 'x' AS status FROM generate_series(1, 10) AS n
WHERE n = ANY(:ids) AND :status <> ''
"""
BOOK = """/* celeriac
title = "Book"
schedule = "15 6 * * mon-fri"
timezone = "Europe/Berlin"

[charts.sums]
kind = "bar"
x = "name"
y = "name"

[charts.good]
kind = "bar"
x = "nobody"
y = "n"
*/
-- name: good
SELECT 1 AS n;

-- name: broken
SELECT n,
       missing
FROM fine;

-- name: sums
SELECT 'a' AS name;
-- name: writes
WITH gone AS (DELETE FROM fine RETURNING *) SELECT * FROM gone;
-- name: forbidden
SELECT * FROM secret
"""

BROKEN = '''"""Broken.

celeriac
title = "Broken"
"""
import no_such_module


def report(read):
    return read("SELECT 1")
'''
MISFITS = [
    "17: the chart of good needs column 'nobody', the query gives n",
    '21: column "missing" does not exist',
    "25: the chart of sums draws numbers, column 'name' holds none",
    "27: a report must not contain data-modifying statements in WITH",
    "29: permission denied for table secret",
    "problem  broken  broken.py, line 6: ModuleNotFoundError: No module named 'no_such_module'",
    "ok       orders",
    "3 reports, 2 with problems",
]
SLOW = """/* celeriac
title = "Slow"
format = "csv"
*/
SELECT pg_sleep(600)
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with one report that fits the database and one that does not."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "reports").mkdir()
    (folder / "reports" / "orders.sql").write_text(ORDERS)
    (folder / "reports" / "book.sql").write_text(BOOK)
    (folder / "reports" / "broken.py").write_text(BROKEN)
    return folder


@pytest.fixture
def settings(database: str, catalog: Path) -> dict[str, str]:
    """Settings whose reports run as a role that may read one table."""
    role = f"reader_{uuid4().hex[:12]}"
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE fine (n int); CREATE TABLE secret (n int)")
        cursor.execute(f"CREATE ROLE {role}; GRANT SELECT ON fine TO {role}")
        connection.commit()
    return {
        "CELERIAC_BROKER_URL": "redis://127.0.0.1:1/0",
        "CELERIAC_RESULT_URL": "redis://127.0.0.1:1/1",
        "CELERIAC_DATABASE_URL": database,
        "CELERIAC_REPORT_ROLE": role,
        "CELERIAC_CATALOG": str(catalog),
    }


@pytest.fixture
def console(settings: dict[str, str]) -> Iterator[Console]:
    """A process that runs commands."""
    with console_on(settings) as console:
        yield console


def test_catalog_is_listed_checked_and_run(console: Console, catalog: Path, tmp_path: Path) -> None:
    """List names parameters; check names file and line; run writes a whole file, or none."""
    output = tmp_path / "orders.csv"
    ask = ("reports", "run", "orders", "--output", str(output), "-p", "status=new", "-p")

    listed = console.said("reports", "list")
    fits = console.run("reports", "check", "orders")
    misfits = console.run("reports", "check")
    ran = console.said(*ask, "ids=3,4")
    rows = list(csv.DictReader(output.open()))
    too_many = console.run(*ask, "ids=[1, 2, 3, 4]")
    unknown = console.run(*ask, "from=5")
    as_pdf = console.run("reports", "run", "orders", "--output", str(tmp_path / "orders.pdf"))
    as_two = console.run(*ask, "ids=1", "--format", "xlsx")
    nobody = console.run("reports", "verify", "--report", "nobody")
    not_yet = console.said("reports", "verify", "--report", "orders")

    assert [
        "name title format schedule parameters",
        "book Book html 15 6 * * mon-fri Europe/Berlin",
        "broken Broken html",
        "orders Orders csv [ids=int[]] status=new|sent",
        "3 reports",
    ] == [" ".join(line.split()) for line in listed.splitlines()]
    assert (0, "ok       orders\n1 report, none with problems\n") == (fits.returncode, fits.stdout)
    assert MISFITS == [
        line.removeprefix(f"problem  book  {catalog}/reports/book.sql:")
        for line in misfits.stdout.splitlines()
    ]
    assert 1 == misfits.returncode
    assert f"{output}: 2 rows, {output.stat().st_size} bytes" == ran.rpartition(",")[0]
    assert [{"n": "3", "status": "x"}, {"n": "4", "status": "x"}] == rows
    assert "orders gives more than the 3 rows of max_rows" in too_many.stderr
    assert "params may hold ids, status for orders, got 'from'" in unknown.stderr
    assert "output must end with one of .html" in as_pdf.stderr
    assert "format is xlsx, but output 'orders.csv' has the name of csv" in as_two.stderr
    assert (2, True) == (nobody.returncode, "report 'nobody' is not in" in nobody.stderr)
    assert "0 files verified, 0 faults found\n" == not_yet
    assert ["orders.csv"] == [path.name for path in tmp_path.iterdir()]


def test_ctrl_c_ends_the_query(settings: dict[str, str], database: str, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a query ends it in the server, and leaves no file."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "slow.sql").write_text(SLOW)
    folder = tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-m", "worker", "reports", "run", "slow", "--output", "out/slow.csv"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    env = {**os.environ, **settings, "CELERIAC_CATALOG": str(tmp_path), "PYTHONPATH": path}

    with (
        closing(psycopg2.connect(database)) as connection,
        subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE) as process,
    ):
        wait_for(lambda: sleeping(connection) == 1, WAIT_SECONDS, "the query")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=WAIT_SECONDS)
        wait_for(lambda: sleeping(connection) == 0, WAIT_SECONDS, "its end")

    assert b"Aborted!" in said
    assert (1, []) == (process.returncode, list(folder.iterdir()))


def sleeping(connection: psycopg2.extensions.connection) -> int:
    """Count the queries of reports that the server runs now."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND datname ="
            " current_database() AND starts_with(query, '/* celeriac report=slow */')"
        )
        (row,) = cursor.fetchall()
    return int(row[0])
