"""Results of a whole batch are in the result store at once, in Celery's own words."""

import json
from collections.abc import Iterator
from datetime import datetime
from math import ceil
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from celery.result import AsyncResult

from celeriac import JobCancelled, JobFailed
from tests.waiting import wait_for
from worker.delivery import Fate, Settlement, summary, whole_result
from worker.embedded import EmbeddedValkey
from worker.results import ResultsNotStored, store_results

LIFETIME = 1_000
ID = "0190163d-8694-739b-aea5-966c26f8ad90"
HOSTILE = ["a b", "ä", '"]}', "\\", "\x00", "line\nbreak", "{id}", "%s", "x" * 5_000, " ", "\u2028"]
ENDS = {
    Fate.COMMITTED: Settlement("", Fate.COMMITTED, {"rows": 3, "inserted": 2, "quarantined": 1}),
    Fate.DEAD: Settlement("", Fate.DEAD, error='target "x" is not in the catalog'),
    Fate.CANCELLED: Settlement("", Fate.CANCELLED, error="revoked"),
}
#: What the same end is in a stock worker: state, and what it returned or raised.
STOCK: dict[Fate, tuple[str, Any]] = {
    Fate.COMMITTED: ("SUCCESS", {"rows": 3, "inserted": 2, "quarantined": 1}),
    Fate.DEAD: ("FAILURE", JobFailed('target "x" is not in the catalog')),
    Fate.CANCELLED: ("REVOKED", JobCancelled("revoked")),
}


@pytest.fixture
def app(broker_url: str, result_url: str) -> Iterator[Celery]:
    """An application on an empty result store."""
    app = Celery("results", broker=broker_url, backend=result_url, set_as_current=False)
    app.conf.result_expires = LIFETIME
    yield app
    app.close()


def stored(app: Celery, id_: str) -> str:
    """Return a result's text as Redis has it."""
    text = app.backend.client.get(app.backend.get_key_for_task(id_))
    assert text is not None, f"no result of {id_!r}"
    return str(text.decode())


def without_date(text: str) -> list[tuple[str, Any]]:
    """Return the fields of a result, in their order, without the time, which must be one."""
    fields = json.loads(text)
    datetime.fromisoformat(fields.pop("date_done"))
    return list(fields.items())


def test_plain_result_is_what_celery_stores(app: Celery) -> None:
    """A result that Redis put together is, date apart, the text that mark_as_done writes."""
    app.backend.mark_as_done(ID, whole_result(7), request=Context(id=ID))
    stock = stored(app, ID)
    app.backend.client.flushdb()

    store_results([(ID, 7)], [], app)

    ours = stored(app, ID)
    dates = [json.loads(text)["date_done"] for text in (stock, ours)]
    assert without_date(stock) == without_date(ours)
    assert stock.replace(dates[0], "") == ours.replace(dates[1], "")


@pytest.mark.parametrize("fate", ENDS)
def test_other_results_are_what_celery_stores(app: Celery, fate: Fate) -> None:
    """Committed otherwise, failed, revoked: the fields of store_result, group and parent too."""
    context = Context(id=ID, group="many", parent_id="first")
    state, ended = STOCK[fate]
    app.backend.store_result(ID, ended, state, request=context)
    stock = stored(app, ID)
    app.backend.client.flushdb()

    end = ENDS[fate]
    store_results([], [(Settlement(ID, fate, end.result, end.error), context)], app)

    assert without_date(stock) == without_date(stored(app, ID))


def test_held_job_is_said_to_be_retried(app: Celery) -> None:
    """A held job's result is RETRY, with the reason: it is not over."""
    store_results([], [(Settlement(ID, Fate.HELD, error="no such column"), Context())], app)

    result = AsyncResult(ID, app=app)
    assert "RETRY" == result.state
    assert "JobHeld" == type(result.result).__name__
    assert result.date_done is None


def test_rows_go_with_their_ids(app: Celery) -> None:
    """In a batch of more than one call, each job has its own rows."""
    plain = [(f"job-{number}", number % 7) for number in range(2_500)]

    store_results(plain, [], app)

    found = {id_: json.loads(stored(app, id_)) for id_, _ in plain}
    assert dict(plain) == {id_: one["result"]["inserted"] for id_, one in found.items()}
    assert [] == [id_ for id_, one in found.items() if one["task_id"] != id_]


@pytest.mark.parametrize("id_", HOSTILE, ids=ascii)
def test_hostile_id_keeps_its_result(app: Celery, id_: str) -> None:
    """An id may be any text: its result is found under it, and its neighbours' are intact."""
    store_results([("before", 1), (id_, 2), ("after", 3)], [], app)

    found = [AsyncResult(one, app=app) for one in ("before", id_, "after")]
    assert [whole_result(1), whole_result(2), whole_result(3)] == [
        one.get(timeout=60) for one in found
    ]
    assert id_ == json.loads(stored(app, id_))["task_id"]
    assert 3 == app.backend.client.dbsize()


def test_empty_id_harms_nobody(app: Celery) -> None:
    """An id of no character gets no result; its neighbour does."""
    store_results([("", 1), ("other", 1)], [(Settlement("", Fate.DEAD, error="x"), None)], app)

    assert 1 == app.backend.client.dbsize()


def test_conflict_leaves_the_first_result(app: Celery) -> None:
    """The result under a taken id stays the first job's."""
    store_results([(ID, 1)], [], app)

    store_results([], [(Settlement(ID, Fate.CONFLICT), Context())], app)

    assert whole_result(1) == AsyncResult(ID, app=app).get(timeout=60)


def test_whoever_waits_is_woken(app: Celery) -> None:
    """A subscriber hears the very text that is stored, once."""
    with app.backend.client.pubsub(ignore_subscribe_messages=True) as ear:
        ear.subscribe(app.backend.get_key_for_task(ID))
        wait_for(lambda: app.backend.client.pubsub_numsub(app.backend.get_key_for_task(ID))[0][1])

        store_results([(ID, 1)], [], app)

        heard = [wait_for(lambda: ear.get_message(timeout=1), what="the message")]
        more = ear.get_message(timeout=0.1)
    assert [stored(app, ID)] == [one["data"].decode() for one in heard]
    assert more is None


@pytest.mark.parametrize(("expires", "failure_expires"), [(6000, None), (6000, 500), (0, None)])
def test_results_live_as_long_as_they_should(
    app: Celery, expires: int, failure_expires: int | None
) -> None:
    """result_expires and result_failure_expires hold for both ways; zero is for ever."""
    app.conf.update(result_expires=expires, result_failure_expires=failure_expires)
    other = Settlement("other", Fate.COMMITTED, whole_result(1))

    store_results(
        [("plain", 1)], [(other, Context()), (Settlement("dead", Fate.DEAD, error="x"), None)], app
    )

    of_dead = failure_expires or expires
    assert [expires, expires, of_dead] == [lifetime(app, id_) for id_ in ("plain", "other", "dead")]


def lifetime(app: Celery, id_: str) -> int:
    """Return how long a result lives, in full hundreds of seconds; 0 is for ever."""
    left = int(app.backend.client.ttl(f"celery-task-meta-{id_}"))
    return ceil(left / 100) * 100


def test_prefix_of_the_deployment_holds(app: Celery) -> None:
    """A global key prefix is before every result's key."""
    app.conf.result_backend_transport_options = {"global_keyprefix": "shop"}

    store_results([(ID, 1)], [(Settlement("dead", Fate.DEAD, error="x"), None)], app)

    keys = {key.decode() for key in app.backend.client.keys("*")}
    assert {f"shop_celery-task-meta-{ID}", "shop_celery-task-meta-dead"} == keys


def test_server_that_forgot_the_script(app: Celery) -> None:
    """A restarted server, which knows no scripts, gets the results all the same."""
    store_results([("first", 1)], [], app)
    app.backend.client.script_flush()

    store_results([("second", 1)], [(Settlement("dead", Fate.DEAD, error="x"), None)], app)

    assert 3 == app.backend.client.dbsize()


def test_batch_is_one_round_trip(app: Celery, valkey_server: EmbeddedValkey) -> None:
    """A batch of all sorts is sent once, whatever its size."""
    store_results([("warm", 1)], [], app)
    others = [(Settlement(f"dead-{number}", Fate.DEAD, error="x"), None) for number in range(50)]
    app.backend.client.config_resetstat()

    store_results([(f"job-{number}", 1) for number in range(2_000)], others, app)

    calls = app.backend.client.info("commandstats")
    assert (2, 50) == (calls["cmdstat_evalsha"]["calls"], calls["cmdstat_publish"]["calls"] - 2_000)
    assert "cmdstat_eval" not in calls


def test_silent_store_is_reported(app: Celery) -> None:
    """A result store that does not answer raises ResultsNotStored, with the reason."""
    app.conf.result_backend = "redis://127.0.0.1:1/0"

    with pytest.raises(ResultsNotStored, match=r"127\.0\.0\.1:1"):
        store_results([(ID, 1)], [], app)


def test_nothing_to_store_asks_nobody(app: Celery) -> None:
    """Without results the store is not even spoken to."""
    app.conf.result_backend = "redis://127.0.0.1:1/0"

    store_results([], [(Settlement(ID, Fate.CONFLICT), Context())], app)


@pytest.mark.parametrize("rows", [0, 1, 10_000])
def test_plain_result_is_the_ledgers(rows: int) -> None:
    """A plain job's result has the words that the ledger's account would give."""
    others = dict.fromkeys(("updated", "ignored", "superseded", "quarantined"), 0)

    assert json.dumps(summary({"inserted": rows} | others)) == json.dumps(whole_result(rows))
