"""The custom kind in examples/ does what its README says."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from celery import Celery
from celery.result import AsyncResult

from celeriac import Client
from tests.docs.conftest import Site
from tests.workers import ROOT

WAIT_SECONDS = 60.0
MOVES = 200
CUSTOM_KIND = ROOT / "examples" / "custom_kind"


@pytest.fixture(scope="module")
def shop(open_site: Callable[..., Site]) -> tuple[Site, Celery]:
    """A worker that serves the custom kind and its catalog, and a stock producer for it."""
    catalog = CUSTOM_KIND / "catalog"
    site = open_site(
        catalog,
        (catalog / "tables.sql").read_text(),
        "celeriac.ingest,celeriac.report,shop.move_stock,shop.notices",
        {"CELERIAC_KINDS": "examples.custom_kind.stock:KIND"},
        ("-I", "examples.custom_kind.notices"),
    )
    app = Celery(broker=site.env["CELERIAC_BROKER_URL"], backend=site.env["CELERIAC_RESULT_URL"])
    return site, app


@pytest.fixture
def stock(shop: tuple[Site, Celery]) -> tuple[Site, Celery]:
    """The same, with ten nuts and no bolts."""
    site, app = shop
    site.query("TRUNCATE shop.stock")
    rows = [{"sku": "nut", "on_hand": 10}, {"sku": "bolt", "on_hand": 0}]
    arguments = {"target": "stock", "rows": rows}
    app.send_task("celeriac.ingest", kwargs=arguments, queue="celeriac.ingest").get(WAIT_SECONDS)
    return site, app


def test_a_move_happens_once(stock: tuple[Site, Celery]) -> None:
    """The same job delivered twice moves the stock once and is answered twice alike."""
    site, app = stock

    first = _move(app, "nut", -3, task_id="once").get(WAIT_SECONDS)
    app.backend.delete(app.backend.get_key_for_task("once"))
    second = _move(app, "nut", -3, task_id="once").get(WAIT_SECONDS)

    assert {"sku": "nut", "on_hand": 7} == first == second
    assert [(7,)] == site.query("SELECT on_hand FROM shop.stock WHERE sku = 'nut'")


def test_the_client_enqueues_a_move(stock: tuple[Site, Celery]) -> None:
    """A move comes from our client as from stock Celery."""
    site, _ = stock

    with Client(site.env["CELERIAC_BROKER_URL"], site.env["CELERIAC_RESULT_URL"]) as client:
        answer = client.enqueue("shop.move_stock", {"sku": "nut", "change": 5}).wait(WAIT_SECONDS)

    assert {"sku": "nut", "on_hand": 15} == answer


def test_moves_are_committed_in_batches(stock: tuple[Site, Celery]) -> None:
    """Moves that come together are committed together, many in one transaction."""
    site, app = stock
    ids = [f"together-{number}" for number in range(MOVES)]

    with app.producer_or_acquire() as producer, producer.batch(max_size=MOVES):
        sent = [_move(app, "nut", 1, task_id=id_, producer=producer) for id_ in ids]
    answers = [result.get(WAIT_SECONDS)["on_hand"] for result in sent]

    assert list(range(11, 11 + MOVES)) == sorted(answers)
    batches = "SELECT count(DISTINCT batch) FROM celeriac.job WHERE id ~ '^together-'"
    assert site.query(batches)[0][0] < MOVES / 10


def test_a_plain_task_runs_beside(stock: tuple[Site, Celery]) -> None:
    """The worker that serves the kind runs a plain task too; the ledger knows nothing of it."""
    site, app = stock

    sent = app.send_task("shop.notice", args=("nut",), queue="shop.notices")

    assert "nut runs out" == sent.get(WAIT_SECONDS)
    assert [] == site.query(f"SELECT 1 FROM celeriac.job WHERE id = '{sent.id}'")


def test_a_move_below_zero_spares_its_neighbours(stock: tuple[Site, Celery]) -> None:
    """A move that the stock does not cover is buried; the others take effect."""
    site, app = stock

    sent = [_move(app, *move) for move in (("nut", 1), ("bolt", -1), ("bolt", 5), ("nail", 2))]
    for result in sent:
        with suppress(Exception):  # the two that fail raise here, and are looked at below
            result.get(WAIT_SECONDS)

    rows = site.query("SELECT sku, on_hand FROM shop.stock ORDER BY sku")
    nail = site.query(f"SELECT state, error FROM celeriac.job WHERE id = '{sent[3].id}'")
    # In which order the two moves of bolts come in decides whether the first is covered.
    assert ("nut", 11) in rows
    assert rows[0] in (("bolt", 5), ("bolt", 4))
    assert [("dead", "sku 'nail' is not in shop.stock")] == nail


def test_a_move_of_nothing_is_refused(stock: tuple[Site, Celery]) -> None:
    """The kind's own check buries a job with its words."""
    site, app = stock

    result = _move(app, "nut", 0)
    result.get(WAIT_SECONDS, propagate=False)

    error = site.query(f"SELECT state, error FROM celeriac.job WHERE id = '{result.id}'")
    assert [("dead", "change must not be 0")] == error


def test_the_kinds_catalog_has_a_report(stock: tuple[Site, Celery]) -> None:
    """The report of the example's catalog shows the stock."""
    _, app = stock

    arguments = {"name": "stock_levels"}
    sent = app.send_task("celeriac.report", kwargs=arguments, queue="celeriac.report")

    assert 2 == sent.get(WAIT_SECONDS)["rows"]


def _move(app: Celery, sku: str, change: int, **options: object) -> AsyncResult:
    arguments = {"sku": sku, "change": change}
    task = "shop.move_stock"
    return app.send_task(task, kwargs=arguments, queue="shop.move_stock", **options)
