"""``targets add`` and ``targets check`` as an operator types them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.acceptance.console import Console, console_on
from tests.files import write
from tests.workers import ROOT

FLIGHTS = ROOT / "examples" / "flights" / "flights-2013-01.csv.gz"
KEY = "time_hour,carrier,flight,origin"

TABLES = """
    CREATE TABLE fine (id int PRIMARY KEY, n int);
    CREATE TABLE shared (a int, b int, PRIMARY KEY (b, a)) PARTITION BY RANGE (b);
    CREATE TABLE keyless (id int);
    CREATE TABLE partly (id int, gone bool);
    CREATE UNIQUE INDEX ON partly (id) WHERE NOT gone;
    CREATE TABLE late (id int UNIQUE DEFERRABLE);
    CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
    CREATE VIEW sums AS SELECT count(*) AS n FROM fine;
    CREATE VIEW window_on_fine AS SELECT id, n FROM fine;
    CREATE SEQUENCE lonely;
    CREATE TABLE serial_one (id serial PRIMARY KEY, n int);
    CREATE SCHEMA closed;
    CREATE TABLE closed.one (id int PRIMARY KEY);
"""
CATALOG = """
    [fine]
    table = "fine"
    key = ["id"]
    on_conflict = "update"
    [shared]
    table = "shared"
    key = ["a", "b"]
    on_conflict = "ignore"
    [window]
    table = "window_on_fine"
    [gone]
    table = "nowhere.gone"
    [keyless]
    table = "keyless"
    key = ["id"]
    on_conflict = "ignore"
    [partly]
    table = "partly"
    key = ["id"]
    on_conflict = "ignore"
    [late]
    table = "late"
    key = ["id"]
    on_conflict = "update"
    [computed]
    table = "computed"
    columns.twice = { from = "double" }
    [sums]
    table = "sums"
    [lonely]
    table = "lonely"
    [columns]
    table = "fine"
    columns.nowhere = { default = 1 }
"""


@pytest.fixture
def env(worker_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Settings with a catalog of this test's own."""
    (tmp_path / "catalog").mkdir()
    return worker_env | {"CELERIAC_CATALOG": str(tmp_path / "catalog")}


@pytest.fixture
def console(env: dict[str, str]) -> Iterator[Console]:
    """Where the operator types."""
    with console_on(env) as console:
        yield console


def execute(url: str, *statements: str) -> None:
    """Run statements as the owner of the database."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for one in statements:
            cursor.execute(one)


def test_a_proposal_can_be_taken_as_it_is(console: Console, database: str, tmp_path: Path) -> None:
    """The proposed table is made, the proposed target passes the check, the file's rows fit."""
    statement, _, target = console.said(
        *("targets", "add", "flights", "--from", str(FLIGHTS), "--key", KEY, "--option", "null=NA")
    ).partition("\n\n")
    execute(database, statement)
    write(tmp_path / "catalog" / "targets.toml", target)

    checked = console.run("targets", "check")

    assert (0, "") == (checked.returncode, checked.stderr)
    assert "ok       flights  public.flights\n1 target, none with problems\n" == checked.stdout
    assert "dep_time integer,\n" in statement


def test_what_a_database_lacks_is_said_with_the_remedy(
    console: Console, database: str, tmp_path: Path
) -> None:
    """Each target that would not work has its sentence; the exit status tells there are some."""
    execute(database, TABLES)
    write(tmp_path / "catalog" / "targets.toml", CATALOG)

    checked = console.run("targets", "check")

    lines = {line.split()[1]: line for line in checked.stdout.splitlines()[:-1]}
    assert (1, "SystemExit(1)") == (checked.returncode, checked.stderr)
    assert {"fine", "shared", "window"} == {
        name for name, line in lines.items() if line.startswith("ok ")
    }
    for name, words in {
        "gone": "table nowhere.gone does not exist: create it",
        "keyless": 'CREATE UNIQUE INDEX ON "public"."keyless" ("id")',
        "partly": "key (id) has no unique index of its own",
        "late": "is deferrable, which ON CONFLICT cannot use",
        "computed": 'columns names column "twice", which PostgreSQL computes itself',
        "sums": "public.sums takes no rows",
        "lonely": "public.lonely takes no rows",
        "columns": 'columns names column "nowhere", which public.fine does not have',
    }.items():
        assert words in lines[name], lines[name]
    assert checked.stdout.endswith("11 targets, 8 with problems\n")
    other = console.run("targets", "check", "fien")
    assert "target 'fien' is not in the catalog, which has: fine, shared" in other.stderr


def test_rights_are_those_of_the_workers_role(
    env: dict[str, str], database: str, tmp_path: Path
) -> None:
    """What the role of the setting may not do is said with the GRANT, which then helps."""
    role = f"clerk_{tmp_path.name.replace('-', '_')}"[:63]
    execute(database, TABLES, f'CREATE ROLE "{role}" LOGIN')
    write(
        tmp_path / "catalog" / "targets.toml",
        '[one]\ntable = "closed.one"\nkey = ["id"]\non_conflict = "update"\n'
        '[serial]\ntable = "serial_one"\n',
    )
    url = database.replace("//postgres@", f"//{role}@")
    with console_on(env | {"CELERIAC_DATABASE_URL": url}) as console:
        before = console.run("targets", "check", "one", "serial")
        grants = [line.partition("GRANT ")[2] for line in before.stdout.splitlines()[:-1]]
        execute(database, *(f"GRANT {one}" for one in grants))
        after = console.run("targets", "check")
    execute(database, f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"')

    assert 4 == len(grants)
    assert "INSERT, SELECT, UPDATE" in grants[1]
    assert (1, 0) == (before.returncode, after.returncode)


def test_a_name_that_the_catalog_lacks_is_told(console: Console, tmp_path: Path) -> None:
    """A target can be held before its declaration is there; a misspelt one should not go unseen."""
    write(tmp_path / "catalog" / "targets.toml", '[fine]\ntable = "fine"\n')

    known, misspelt = console.run("targets", "hold", "fine"), console.run("targets", "hold", "fien")
    resumed, unheld = (
        console.run("targets", "resume", "fine"),
        console.run("targets", "resume", "nope"),
    )

    assert (0, "") == (known.returncode, known.stderr)
    assert (0, "target fien is held\n") == (misspelt.returncode, misspelt.stdout)
    assert "careful: the catalog has no such target, it has: fine\n" == misspelt.stderr
    assert (0, "") == (resumed.returncode, resumed.stderr)
    assert (0, misspelt.stderr) == (unheld.returncode, unheld.stderr)
