"""An enqueue brings no more along than it needs: neither imports nor calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.shop import query

SOURCE = Path(__file__).parents[2] / "client" / "src"
HEAVY = {"asyncio", "importlib.resources", "redis"}


def test_the_outbox_imports_little(tmp_path: Path) -> None:
    """Who enqueues in transactions alone pays for no event loop and no Redis client."""
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); from celeriac import outbox;"
        f" print(*sorted({HEAVY!r} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "" == done.stdout.strip()


@pytest.mark.parametrize("call", ["is_plain_ingest(task, kwargs)", "uuid7()"])
def test_the_short_look_is_written_in_its_callers_place(database: str, call: str) -> None:
    """The planner takes what every enqueue calls apart; a call would cost as much again."""
    plan = query(database, f"EXPLAIN (VERBOSE) SELECT celeriac.{call} FROM celeriac.outbox")

    (output,) = (line for (line,) in plan if "Output: " in line)
    assert call.partition("(")[0] + "(" not in output


def test_no_time_means_now(database: str) -> None:
    """A job whose run_at is null, with an id of its own or without, is due at once."""
    for ending in ("NULL)", "NULL, 'mine')"):
        query(
            database,
            """SELECT celeriac.enqueue('celeriac.ingest', '{"target": "a", "rows": [{}]}', """
            + ending,
        )

    due = "SELECT count(*) FROM celeriac.outbox WHERE run_at <= clock_timestamp()"
    assert [(2,)] == query(database, due)
