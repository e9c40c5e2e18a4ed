"""What a process loads to start: what takes long waits until somebody needs it."""

import os
import subprocess
import sys

import pytest

from tests.workers import ROOT
from worker.__main__ import main
from worker.commands.on_demand import OnDemand

#: What draws charts, holds columns, knows object stores, and starts other processes.
#: Not rich: structlog loads it wherever it finds it.
PICTURES = {"altair", "vl_convert", "narwhals", "jsonschema", "jinja2"}
COLUMNS = {"pyarrow", "pandas", "numpy"}
STORES = {"fsspec", "aiohttp"}
CREW = {"honcho", "psutil"}
HEAVY = PICTURES | COLUMNS | STORES | CREW

URLS = {
    "CELERIAC_BROKER_URL": "redis://localhost/0",
    "CELERIAC_RESULT_URL": "redis://localhost/1",
    "CELERIAC_DATABASE_URL": "postgresql://localhost/nobody",
}


#: Runs a module as ``python -m`` does, and lists what was loaded in the end.
RUN_AND_LIST = """
import runpy, sys
from contextlib import suppress

with suppress(SystemExit):
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
print(*sys.modules, file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """Return every module that ``python -m`` with these arguments loads."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    done = subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST, *arguments],
        cwd=ROOT,
        env={**os.environ, **URLS, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


def test_application_loads_nothing_heavy() -> None:
    """Every worker, Flower and `celery inspect` begin with the application."""
    found = loaded("worker.app")

    assert {"tasks.report", "celery"} <= found
    assert set() == found & (HEAVY | {"redis"})


def test_help_loads_no_command() -> None:
    """The list of commands needs none of them, nor what they need."""
    found = loaded("worker", "--help")

    assert "worker.commands.on_demand" in found
    needless = {"celery", "kombu", "redis", "psycopg2", "pydantic", "rich", "tasks"}
    assert set() == found & (HEAVY | needless)


@pytest.mark.parametrize("name", ["migrate", "targets", "reports", "quarantine", "jobs"])
def test_command_of_the_ledger_loads_no_celery(name: str) -> None:
    """What asks PostgreSQL alone needs neither Celery nor Redis."""
    found = loaded("worker", name, "--help")

    assert {f"worker.commands.{name}", "psycopg2"} <= found
    assert set() == found & (HEAVY | {"celery", "kombu", "redis"})


def test_relay_loads_neither_celery_nor_kinds() -> None:
    """A relay pushes messages: of kinds it has to know the queue alone."""
    found = loaded("worker", "relay", "--help")

    assert {"worker.relay.relay", "kombu", "redis"} <= found
    assert set() == found & (
        HEAVY | {"celery", "tasks.ingest", "tasks.ingest_file", "tasks.report"}
    )


@pytest.mark.parametrize("name", sorted(main.commands))
def test_list_says_of_a_command_what_it_says_itself(name: str) -> None:
    """The words that stand for a command until it is loaded are its own."""
    stand_in = main.commands[name]

    assert isinstance(stand_in, OnDemand)
    command = stand_in.load()
    assert (name, stand_in.help) == (command.name, command.get_short_help_str(1_000))
