"""A message that the broker delivers twice is settled twice alike: by a real worker."""

from typing import Any

import pytest

from tests.acceptance.site import QUEUE, RESULTS, TASK, Site
from tests.waiting import wait_for
from tests.workers import Worker

KEY = "celery-task-meta-{}"
ENDINGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "dead": ("nowhere", {}, "FAILURE"),
    "cancelled": ("alpha", {"expires": -1}, "REVOKED"),
}


def test_same_message_twice(site: Site, worker: Worker) -> None:
    """A copy of a message, delivered after commit, brings the result again and no second row."""
    raw = keep_message(site, "twice", "alpha", [{"n": 1}])
    site.push(raw)
    first = wait_for(lambda: stored(site, "twice"), what="the first result")
    site.wait_until_settled()
    forget(site, "twice")

    site.push(raw)

    assert outcome(first) == outcome(wait_for(lambda: stored(site, "twice"), what="the second"))
    site.wait_until_settled()
    assert [(1,)] == site.query("SELECT count(*) FROM shop.alpha")


@pytest.mark.parametrize("id_", ["dead", "cancelled"])
def test_ended_otherwise_twice(site: Site, worker: Worker, id_: str) -> None:
    """A dead and a cancelled job end a second time as the first, with the same words."""
    target, options, state = ENDINGS[id_]
    raw = keep_message(site, id_, target, [{"n": 2}], **options)
    site.push(raw)
    first = wait_for(lambda: stored(site, id_), what="the first result")
    site.wait_until_settled()
    forget(site, id_)

    site.push(raw)

    second = wait_for(lambda: stored(site, id_), what="the second result")
    assert state == first["status"] == second["status"]
    assert outcome(first) == outcome(second)
    assert [] == site.query("SELECT 1 FROM shop.alpha WHERE n = 2")


def test_committed_then_revoked(site: Site, worker: Worker) -> None:
    """A committed job that is revoked, its result gone, is never shown as revoked."""
    raw = keep_message(site, "revoked-late", "alpha", [{"n": 3}])
    site.push(raw)
    wait_for(lambda: stored(site, "revoked-late"), what="the result")
    site.wait_until_settled()
    forget(site, "revoked-late")
    site.stock.control.revoke("revoked-late")
    inspect = site.stock.control.inspect([worker.name], limit=1)
    wait_for(lambda: "revoked-late" in str(inspect.revoked()), what="the revocation")
    assert stored(site, "revoked-late") is None

    site.push(raw)

    again = wait_for(lambda: stored(site, "revoked-late"), what="the result again")
    assert "SUCCESS" == again["status"]
    assert {"revoked-late": "committed"} == site.states("revoked-late")


def test_poison_row_by_a_worker(site: Site, worker: Worker) -> None:
    """A bad row in one of many jobs goes to quarantine; every other row is committed."""
    for n in range(20):
        rows = [{"id": n * 10 + k, "name": "x" if (n, k) != (7, 3) else None} for k in range(5)]
        site.send(f"poison-{n}", "item", rows, ignore_result=True)

    wait_for(lambda: len(site.states(*(f"poison-{n}" for n in range(20)))) == 20, what="all to end")

    assert [(99,)] == site.query("SELECT count(*) FROM shop.item")
    found = "SELECT job_id, row_number, column_name, sqlstate FROM celeriac.quarantine"
    assert [("poison-7", 4, "name", "23502")] == site.query(found)


def keep_message(site: Site, id_: str, target: str, rows: list[Any], **options: Any) -> bytes:
    """Have stock Celery write a message, and take it where no worker looks."""
    kwargs = {"target": target, "rows": rows}
    site.stock.send_task(TASK, kwargs=kwargs, task_id=id_, queue="aside", **options)
    raw = site.redis.rpop("aside")
    return bytes(raw).replace(b'"routing_key": "aside"', f'"routing_key": "{QUEUE}"'.encode())


def stored(site: Site, id_: str) -> dict[str, Any] | None:
    """Read a result as stock Celery stores it; None before it is there."""
    meta = site.stock.backend.get_task_meta(id_, cache=False)
    return None if meta["status"] == "PENDING" else dict(meta)


def forget(site: Site, id_: str) -> None:
    """Remove the result, so that the next one is seen."""
    with site.valkey.client(RESULTS) as results:
        assert 1 == results.delete(KEY.format(id_))


def outcome(meta: dict[str, Any]) -> tuple[str, str]:
    """What a result says, without its time."""
    return meta["status"], str(meta["result"])
