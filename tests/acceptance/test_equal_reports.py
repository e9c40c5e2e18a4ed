"""Equal reports that are sent together are one run, through a real worker."""

from collections.abc import Callable
from pathlib import Path

import pytest

from celeriac import Client
from tests.integration.shop import query
from tests.workers import Worker

SLEEPY = """/* celeriac
title = "Sleepy"
format = "csv"
[params.tag]
type = "text"
*/
SELECT :tag AS tag, pg_sleep(1)
"""


@pytest.mark.storm
@pytest.mark.parametrize("children", [1, 2])
def test_equal_reports_sent_together_are_one_run(
    worker_env: dict[str, str], make_worker: Callable[..., Worker], tmp_path: Path, children: int
) -> None:
    """The first is alone when it begins; the others came before it had to begin anew."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "targets.toml").touch()
    (tmp_path / "reports" / "sleepy.sql").write_text(SLEEPY)
    env = worker_env | {"CELERIAC_CATALOG": str(tmp_path)}
    make_worker(env, queues="celeriac.report", concurrency=children).start()

    with Client(env["CELERIAC_BROKER_URL"]) as client:
        tickets = [client.report("sleepy", {"tag": "equal"}) for _ in range(30)]
        urls = {ticket.wait(timeout=60)["url"] for ticket in tickets}

    assert 1 == len(urls)
    assert [(1,)] == query(env["CELERIAC_DATABASE_URL"], "SELECT count(*) FROM celeriac.report_run")
