"""What the tree promises of itself, read from its files: who imports whom, who may do what."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from celeriac import contract
from celeriac.contract import LEDGER_STATES, MOVES, State
from tests.workers import ROOT

MOST_LINES = 300
MOST_FUNCTION_LINES = 40

OURS = {"worker", "tasks", "postgres", "config", "celeriac", "tests", "examples", "catalog"}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager"}

#: Which of our packages each package may import; ``celeriac`` stands for its contract alone.
MAY_IMPORT = {
    "config": set(),
    "postgres": {"postgres", "celeriac"},
    "tasks": {"tasks", "postgres", "celeriac"},
    "worker": {"worker", "tasks", "postgres", "celeriac", "config"},
}

#: Who may read the environment, and why.
MAY_SEE_ENVIRONMENT = {
    "config.py": "the settings",
}

#: Who may use Python's ``signal`` other than in ``worker/outside.py``, and why.
MAY_SEND_SIGNALS = {
    "worker/embedded/postgres_server.py": "names the signal that stops its server",
    "worker/embedded/server.py": "the type of that signal",
    "worker/embedded/valkey_server.py": "names the signal that stops its server",
    "worker/stop_signals.py": "hears those of a worker, in Celery's place",
    "worker/up/leftovers.py": "ends the processes of a stack that was killed",
    "worker/up/processes.py": "ends the processes that it started",
}

#: Who of the workers' side may import by name, in the course of a run, and why.
MAY_IMPORT_LATE = {
    "worker/named.py": "a relay needs no kind; a command needs Celery, another Redis, some neither",
    "tasks/files/reader.py": "what reads Parquet is large",
    "tasks/reports/formats/formats.py": "what draws charts is larger",
    "tasks/reports/sections.py": "what runs reports in Python loads pandas",
    "tasks/stores.py": "what knows object stores is slow to load",
}

#: Which tests sleep, and why.
MAY_SLEEP = {
    "tests/waiting.py": "looks again after a moment, until a deadline",
    "tests/faults/producer.py": "sends at a given rate",
    "tests/acceptance/sleeper_kind.py": "is a job that takes its time",
}

#: SQL that is no file, and why.
SQL_IN_CODE = {
    ("postgres/pool.py", "SELECT 1"): "asks nothing, only whether somebody answers",
    ("postgres/pool.py", "DISCARD ALL"): "a command to the session, not a statement about data",
    ("postgres/migrate.py", "SELECT pg_advisory_lock(%s)"): "a lock, taken before anything exists",
    ("postgres/transaction.py", "SET CONSTRAINTS ALL IMMEDIATE"): "part of ending a transaction",
    ("postgres/transaction.py", "SAVEPOINT "): "the name is the caller's, and fixed in code",
    ("postgres/transaction.py", "RELEASE SAVEPOINT "): "the same",
    ("postgres/transaction.py", "ROLLBACK TO SAVEPOINT "): "the same",
}

SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|WITH|VALUES|TABLE|CREATE|ALTER|DROP"
    r"|GRANT|REVOKE|COMMENT|LOCK|SET|RESET|SHOW|DISCARD|LISTEN|NOTIFY|PREPARE|EXECUTE|CALL|DO"
    r"|DECLARE|FETCH|MOVE|CLOSE|VACUUM|ANALYZE|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b"
)
ENDING_SQL = re.compile(r"\s*(COMMIT|ROLLBACK|SAVEPOINT|RELEASE|BEGIN|START TRANSACTION)\b")


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below folders, or single files, of the tree."""
    found = [ROOT / folder for folder in folders]
    return sorted(
        path
        for place in found
        for path in ([place] if place.is_file() else place.rglob("*.py"))
        if "__pycache__" not in path.parts
    )


PRODUCT = python_files("config.py", "postgres", "tasks", "worker", "client/src")
WORKERS_SIDE = python_files("config.py", "postgres", "tasks", "worker")
TESTS = python_files("tests")
SQL_FILES = sorted((ROOT / "postgres" / "sql").glob("*.sql"))
MIGRATIONS = sorted((ROOT / "postgres" / "migrations").glob("*.sql"))


def name_of(path: Path) -> str:
    """Return a path as this page writes it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Parse a file, once."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return everything that is in a file, found once."""
    return tuple(ast.walk(tree(path)))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Name everything that a file imports, with its module: ``os.environ``, ``tasks.kind.Kind``."""
    found: list[str] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively: say the whole name"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def imports_of(files: list[Path], wanted: Callable[[str], bool]) -> dict[str, set[str]]:
    """Return, by file, what it imports of that sort."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in files:
        for name in imports(path):
            if wanted(name):
                found[name_of(path)].add(name)
    return dict(found)


def is_of(name: str, *modules: str) -> bool:
    """Tell whether an imported name is one of these modules, or inside one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def calls_of(files: list[Path], *methods: str) -> set[str]:
    """Return the files that call a method of one of these names on anything."""
    return {
        name_of(path)
        for path in files
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
    }


@cache
def texts(path: Path) -> tuple[str, ...]:
    """Return every text in the code of a file that is no docstring; of f-strings, their parts."""
    docstrings = {id(node.value) for node in nodes(path) if isinstance(node, ast.Expr)}
    return tuple(
        node.value
        for node in nodes(path)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    )


def statements(path: Path) -> list[str]:
    """Cut an SQL file at its semicolons; comments, texts and bodies have none that count."""
    quoted = r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\$\$.*?\$\$"
    text = re.sub(quoted, "", path.read_text(), flags=re.DOTALL)
    return [one for one in text.split(";") if one.strip()]


def test_something_is_looked_at() -> None:
    """The files that this page judges are found at all."""
    counts = [len(found) for found in (PRODUCT, WORKERS_SIDE, TESTS, SQL_FILES, MIGRATIONS)]

    assert [] == [count for count in counts if count == 0]
    assert {"config.py", "worker/app.py", "tasks/kind.py"} <= set(map(name_of, WORKERS_SIDE))


# Who imports whom


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_flow_one_way(package: str) -> None:
    """Worker imports tasks, tasks imports postgres, and nobody the other way."""
    place = "config.py" if package == "config" else package

    found = imports_of(
        python_files(place),
        lambda name: name.split(".")[0] in OURS - MAY_IMPORT[package],
    )

    assert {} == found


def test_only_the_contract_is_shared_with_the_client() -> None:
    """Workers and producers share names and limits, no code; ``up`` is a producer too."""
    files = [path for path in WORKERS_SIDE if not name_of(path).startswith("worker/up/")]

    found = imports_of(
        files, lambda name: is_of(name, "celeriac") and not is_of(name, "celeriac.contract")
    )

    assert {} == found


def test_settings_are_read_at_the_edge() -> None:
    """Only a process's start sees the settings, or their type; others receive values."""
    found = imports_of(WORKERS_SIDE, lambda name: is_of(name, "config"))

    # The doctor looks at a deployment as a whole: its settings are what it looks at.
    others = {name for name in found if not name.startswith("worker/doctor/")}
    assert {"worker/app.py", "worker/lifecycle.py", "worker/outside.py"} == others


def test_client_imports_redis_and_the_standard_library() -> None:
    """The client needs nothing else; that it imports alone is tested with its wheel."""
    known = {"celeriac", "redis"} | sys.stdlib_module_names

    found = imports_of(python_files("client/src"), lambda name: name.split(".")[0] not in known)

    # The extra for Django is no part of what `import celeriac` reaches.
    extra = {name for name in found if name.startswith("client/src/celeriac/django/")}
    strangers = {one.split(".")[0] for name in extra for one in found[name]}
    assert (set(), {"django"}) == (set(found) - extra, strangers)


def test_extra_for_django_is_imported_by_itself_alone() -> None:
    """Nothing outside of `celeriac.django` imports it, so that nobody needs Django for the rest."""
    found = imports_of(PRODUCT, lambda name: is_of(name, "celeriac.django", "django"))

    assert {"client/src/celeriac/django"} == {
        name.partition("/django/")[0] + "/django" for name in found
    }


def test_tasks_know_neither_celery_nor_the_driver() -> None:
    """What is done does not know how it is started, nor by which driver it speaks."""
    found = imports_of(
        python_files("tasks"),
        lambda name: is_of(name, "celery", "kombu", "billiard", "psycopg2", "redis"),
    )

    assert {} == found


def test_nothing_is_imported_inside_functions() -> None:
    """Imports stand at the top, where they can be seen and fail at the start."""
    inner = {
        f"{name_of(path)}:{node.lineno}"
        for path in PRODUCT
        for function in nodes(path)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    assert set() == inner


def test_late_imports_are_the_exception() -> None:
    """What is loaded at its first use is loaded in these files, each for its reason."""
    found = imports_of(WORKERS_SIDE, lambda name: is_of(name, "importlib.import_module"))

    assert set(MAY_IMPORT_LATE) == set(found)


# One owner for each outside power


def test_psycopg2_is_known_below_postgres_alone() -> None:
    """No other package imports the driver."""
    found = imports_of(PRODUCT, lambda name: is_of(name, "psycopg2"))

    assert {"postgres"} == {name.split("/")[0] for name in found}


def test_one_file_commits_and_rolls_back() -> None:
    """Transactions end in one place, by method or by SQL."""
    by_method = calls_of(PRODUCT, "commit", "rollback", "set_session")
    by_text = {name_of(path) for path in PRODUCT for text in texts(path) if ENDING_SQL.match(text)}
    by_file = {
        name_of(path)
        for path in [*SQL_FILES, *MIGRATIONS]
        for text in statements(path)
        if ENDING_SQL.match(text.upper())
    }

    assert {"postgres/transaction.py"} == by_method
    assert {"postgres/transaction.py"} == by_text
    assert set() == by_file


def test_one_file_reads_the_environment() -> None:
    """Settings come from one place; the exceptions are named with their reason."""
    powers = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    seen = {
        name_of(path)
        for path in PRODUCT
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and node.attr in powers
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    imported = imports_of(PRODUCT, lambda name: name in {f"os.{power}" for power in powers})

    assert set(MAY_SEE_ENVIRONMENT) == seen | set(imported)


def test_one_file_hears_signals() -> None:
    """Celery's signals end in one file, those of the system in one a kind of process."""
    celerys = imports_of(PRODUCT, lambda name: is_of(name, "celery.signals", "blinker"))
    systems = imports_of(PRODUCT, lambda name: is_of(name, "signal"))
    handlers = calls_of(PRODUCT, "signal", "sigaction", "set_wakeup_fd", "add_signal_handler")

    assert {"worker/lifecycle.py"} == set(celerys)
    assert set(MAY_SEND_SIGNALS) == set(systems) - {"worker/outside.py"}
    assert {"worker/outside.py", "worker/stop_signals.py"} == handlers


def test_one_file_acknowledges() -> None:
    """A message is done with in one place; only reserving knows what that means in Redis."""
    asking = {name for name in calls_of(PRODUCT, "done_with") if "worker/transport/" not in name}
    celerys = calls_of(
        *(PRODUCT, "ack", "ack_log_error", "reject", "reject_log_error", "requeue", "on_ack"),
    )

    assert {"worker/settle.py"} == asking
    assert set() == celerys


# SQL is a file


def test_sql_in_code_is_the_exception() -> None:
    """Every statement is a file, but for these, each with its reason; none of them is stale."""
    found = {(name_of(path), text) for path in PRODUCT for text in texts(path) if SQL.match(text)}

    assert set(SQL_IN_CODE) == found


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.name)
def test_sql_file_is_one_statement(path: Path) -> None:
    """A file is named by a verb and a noun and holds one statement."""
    found = statements(path)

    assert re.fullmatch(r"[a-z]+(_[a-z]+)+\.sql", path.name)
    assert 1 == len(found)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.name)
def test_migration_is_numbered_and_worded(path: Path) -> None:
    """A migration is named by its number, a verb and a noun."""
    assert re.fullmatch(r"\d{4}(_[a-z]+){2,}\.sql", path.name)


def test_sql_file_has_one_user() -> None:
    """Each file is named in one place of ``postgres/``; none is left over."""
    named = [text for path in python_files("postgres") for text in texts(path)]

    counts = {path.stem: named.count(path.stem) for path in SQL_FILES}

    # Savepoints are named after what they are for, which may be a statement's file.
    assert {} == {name: count for name, count in counts.items() if not 1 <= count <= 2}


# Files and functions


def test_names_say_what_a_file_is_for() -> None:
    """No file or folder is called what every file could be called."""
    parts = {
        part
        for path in [*PRODUCT, *TESTS, *python_files("examples")]
        for part in (*path.relative_to(ROOT).parent.parts, path.stem)
    }

    assert set() == parts & FORBIDDEN_NAMES


def test_files_are_short() -> None:
    """A product file is split before it cannot be taken in at one reading."""
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in PRODUCT}

    assert {} == {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_functions_are_short() -> None:
    """A product function fits on a screen, docstring and all."""
    lengths = {
        f"{name_of(path)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in PRODUCT
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {} == {name: lines for name, lines in lengths.items() if lines > MOST_FUNCTION_LINES}


def test_every_test_states_its_claim() -> None:
    """Each test has a docstring of one line, a sentence."""
    silent = {
        f"{name_of(path)}:{node.name}"
        for path in TESTS
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not re.fullmatch(r"[^\n]+\.", ast.get_docstring(node) or "")
    }

    assert set() == silent


def test_tests_patch_and_sleep_nowhere() -> None:
    """Nothing of ours is patched, and no test waits for a time instead of for an event."""
    mocks = imports_of(TESTS, lambda name: is_of(name, "unittest.mock", "mock", "freezegun"))

    sleeping = {
        name_of(path)
        for path in TESTS
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and ast.unparse(node.func) in {"time.sleep", "sleep"}
    }

    assert ({}, set(MAY_SLEEP)) == (mocks, sleeping)


def test_the_root_is_no_distribution() -> None:
    """The generic names of the tree never reach a site-packages: the client alone is packed."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    client = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())

    assert {"tool"} == set(root)
    assert "celeriac" == client["project"]["name"]
    assert ["redis"] == [re.split(r"\W", one)[0] for one in client["project"]["dependencies"]]


# Names on the wire, and states


def test_names_on_the_wire_are_ours() -> None:
    """Tasks, queues and keys carry our name, so that no other application meets them."""
    names = {*contract.QUEUES, *contract.QUEUES.values(), *contract.ARGUMENTS}

    assert [] == [name for name in names if not name.startswith("celeriac.")]
    assert contract.CATALOG_KEY.startswith("celeriac:")


def test_kinds_take_their_names_from_the_contract() -> None:
    """No kind of ours, and nobody else, spells a task's or queue's name anew."""
    spelled = {
        (name_of(path), text)
        for path in WORKERS_SIDE
        # It writes command lines, queues and all, as the documentation has them.
        if name_of(path) != "worker/up/processes.py"
        for text in texts(path)
        if text in {*contract.QUEUES, *contract.QUEUES.values(), contract.CATALOG_KEY}
    }

    assert set() == spelled


def test_ledger_checks_the_states_of_the_contract() -> None:
    """The CHECK of the ledger's column names the states that the contract gives to it."""
    checks = [
        match[1]
        for path in MIGRATIONS
        for match in re.finditer(r"job_state\s+CHECK\s*\(state IN \(([^)]*)\)\)", path.read_text())
    ]

    # The last one counts: a later migration may have replaced the first.
    assert {state.value for state in LEDGER_STATES} == set(re.findall(r"'(\w+)'", checks[-1]))


def test_page_of_states_draws_the_moves() -> None:
    """The table in docs/states.md has each move of the contract once, with the reason for it."""
    page = (ROOT / "docs" / "states.md").read_text()
    _, _, below = page.partition("| from | to | when |\n| --- | --- | --- |\n")
    rows = below.split("\n\n")[0].splitlines()
    drawn = [re.findall(r"^\| `(\w+)` \| `(\w+)` \| \S.* \|$", row) for row in rows]

    expected = [[(old.value, new.value)] for old, following in MOVES.items() for new in following]
    assert sorted(expected) == sorted(drawn)


def test_page_of_states_names_every_state() -> None:
    """A state that is drawn nowhere is a state that nobody knows."""
    page = (ROOT / "docs" / "states.md").read_text()

    assert [] == [state.value for state in State if f"`{state.value}`" not in page]
