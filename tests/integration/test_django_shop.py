"""The Django shop, from a request to the commit: real servers, worker and relay, on psycopg2."""

import json
import tomllib
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from postgres.database import create_database
from postgres.migrate import migrate
from tests.integration.django_site import SHOP, Shop, serving, shop_env
from tests.integration.relays import RelayProcess
from tests.integration.shop import query
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

BROKER, RESULTS = 0, 1

#: Enqueues twice, in a transaction that is rolled back and in one that is kept.
TWO_TRANSACTIONS = """
from django.db import transaction
from celeriac.django import ingest
from shop.models import Product

def offer(name, is_kept):
    with transaction.atomic():
        id = ingest(Product, Product(name=name, price="2.50"), style=STYLE)
        transaction.set_rollback(not is_kept)
    return id

print(offer(STYLE + " undone", False), offer(STYLE + " kept", True))
"""

#: Copies what is there under other names, from a queryset without the prices.
FROM_QUERYSET = """
from celeriac.django import ingest
from shop.models import Product

rows = Product.objects.filter(name="copied").values("name", "price")
print(ingest(Product, rows))
"""


@pytest.fixture(scope="module")
def site(
    postgres_server: EmbeddedPostgres,
    valkey_server: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """The shop on an empty database, with a worker and a relay."""
    name = f"django_{uuid4().hex[:12]}"
    url = postgres_server.url(name)
    create_database(postgres_server.url(), name)
    migrate(url)
    with valkey_server.client() as client:
        client.flushall()
    env = {
        "CELERIAC_BROKER_URL": valkey_server.url(BROKER),
        "CELERIAC_RESULT_URL": valkey_server.url(RESULTS),
        "CELERIAC_DATABASE_URL": url,
        "CELERIAC_CATALOG": str(SHOP / "catalog"),
        "CELERIAC_ARTIFACTS": tmp_path_factory.mktemp("artifacts").as_uri(),
    }
    django_env = shop_env(env, tmp_path_factory.mktemp("path"))
    worker, relay = Worker(env, queues="celeriac.ingest,celeriac.report"), RelayProcess(env)
    try:
        worker.start(wait=False)
        relay.start(wait=False)
        with serving(django_env) as shop:
            worker.wait_ready()
            relay.wait_ready()
            yield shop
    finally:
        worker.kill()
        relay.kill()


def arrived(shop: Shop, name: str) -> bool:
    return name in [product for product, _ in shop.products()]


def test_django_is_on_psycopg2(site: Shop) -> None:
    """The driver under test is psycopg2, though psycopg 3 is installed."""
    code = "from django.db import connection; print(connection.Database.__name__)"

    assert "psycopg2" == site.said("run", code)


def test_price_list_that_is_kept(site: Shop) -> None:
    """Its products are in the table soon, and on the page, and the price in each exactly."""
    answer = site.send_list("kept", ("anvil", "129.90"), ("bolt", "0.05"))
    wait_for(lambda: arrived(site, "bolt"), what="the products")

    assert 202 == answer.status_code
    assert {("anvil", "129.90"), ("bolt", "0.05")} <= set(site.products())
    assert "anvil: 129.90" in site.get("/products/").text
    assert "committed" == site.said("celeriac", "state", answer.json()["job"])


def test_price_list_that_is_rolled_back(site: Shop) -> None:
    """A number that came before undoes its job: neither outbox nor ledger ever knew it."""
    site.send_list("twice", ("chain", "7.00"))
    before = site.jobs()

    again = site.send_list("twice", ("ghost", "1.00"))
    after = site.jobs()
    site.send_list("later", ("dowel", "0.10"))
    wait_for(lambda: arrived(site, "dowel"), what="what came later")

    assert (409, before) == (again.status_code, after)
    assert not arrived(site, "ghost")


def test_price_that_does_not_fit(site: Shop) -> None:
    """One product that the table refuses is set aside, its neighbour is there."""
    site.send_list("wide", ("huge", "12345678.90"), ("epoxy", "4.00"))
    wait_for(lambda: arrived(site, "epoxy"), what="the neighbour")

    text = "SELECT row->>'name' FROM celeriac.quarantine WHERE target = 'products'"
    assert not arrived(site, "huge")
    assert [("huge",)] == query(site.env["CELERIAC_DATABASE_URL"], text)


@pytest.mark.parametrize("body", ["", "[]", '{"number": "x", "products": [{"name": "no price"}]}'])
def test_what_is_no_price_list(site: Shop, body: str) -> None:
    """Nonsense is answered as such, and no job comes of it."""
    before = site.jobs()

    answer = site.session.post(f"{site.address}/price-lists/", data=body, timeout=60)

    assert (400, before) == (answer.status_code, site.jobs())


def test_report_is_shown(site: Shop) -> None:
    """A click leads to a page that says so until the report is there, and then is the report."""
    asked = site.session.post(f"{site.address}/reports/", allow_redirects=False, timeout=60)
    place = asked.headers["Location"]
    wait_for(lambda: site.get(place).status_code == 200, what="the report")

    page = site.get(place).text

    assert 302 == asked.status_code
    assert "<title>Prices" in page
    assert "mean_<wbr>price" in page


def test_report_that_cannot_be_made(site: Shop) -> None:
    """The worker's words are on the page."""
    asked = site.session.post(
        f"{site.address}/reports/", {"at_least": "many"}, allow_redirects=False, timeout=60
    )
    place = asked.headers["Location"]
    wait_for(lambda: site.get(place).status_code != 202, what="the end of the job")

    assert 422 == site.get(place).status_code
    assert "params.at_least must be" in site.get(place).text


@pytest.mark.parametrize("style", ["outbox", "on_commit"])
def test_each_style_heeds_the_transaction(site: Shop, style: str) -> None:
    """What is rolled back never runs; what is kept runs under the id that was returned."""
    code = f"STYLE = {style!r}\n{TWO_TRANSACTIONS}"

    undone, kept = site.said("run", code).split()
    wait_for(lambda: arrived(site, f"{style} kept"), what="the product")

    text = "SELECT id FROM celeriac.job WHERE id IN (%s, %s)"
    assert [(kept,)] == query(site.env["CELERIAC_DATABASE_URL"], text, (undone, kept))
    assert not arrived(site, f"{style} undone")


def test_rows_of_a_queryset(site: Shop) -> None:
    """A queryset is read and becomes rows; keys are made anew by the table."""
    text = "INSERT INTO shop_product (name, price) VALUES ('copied', 3.25)"
    query(site.env["CELERIAC_DATABASE_URL"], text)

    site.said("run", FROM_QUERYSET)
    wait_for(lambda: site.products().count(("copied", "3.25")) == 2, what="the copy")


def test_command(site: Shop) -> None:
    """``manage.py celeriac`` enqueues a report, waits for it, measures queues, proposes targets."""
    job = site.said("celeriac", "report", "prices", "at_least=1.5", "--format", "csv")
    result = json.loads(site.said("celeriac", "wait", job))

    assert ("csv", "committed") == (result["format"], site.said("celeriac", "state", job))
    assert "celeriac.report: 0 waiting" == site.said("celeriac", "depth", "celeriac.report")
    proposed = tomllib.loads(site.said("celeriac", "targets", "shop.Product"))
    assert {"products": {"table": "public.shop_product"}} == proposed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("report", "prices", "cheap"), "a parameter is written name=value, got 'cheap'"),
        (("targets", "shop.Nothing"), "'shop.Nothing' is no installed model"),
        (("wait", "unheard-of", "--timeout", "0.1"), "unheard-of"),
    ],
)
def test_command_that_cannot_be_done(site: Shop, arguments: list[str], words: str) -> None:
    """It ends with 1 and words, not with a traceback."""
    done = site.ask("celeriac", *arguments)

    assert (1, True, False) == (done.returncode, words in done.text, "Traceback" in done.text)


def test_check_finds_nothing_amiss(site: Shop) -> None:
    """With everything in place, also the check of the servers is silent."""
    said = site.said("check", "--database", "default", "--fail-level", "WARNING")

    assert "System check identified no issues (0 silenced)." == said


def checked(site: Shop, database: dict[str, str], **celeriac: object) -> str:
    """Check the shop as if its settings had other entries."""
    code = f"""
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

settings.DATABASES["other"] = settings.DATABASES["default"] | {database!r}
try:
    with override_settings(CELERIAC=settings.CELERIAC | {{"USING": "other"}} | {celeriac!r}):
        call_command("check", databases=["other"], fail_level="CRITICAL")
finally:
    connections["other"].close()
    del connections["other"], settings.DATABASES["other"]
"""
    return site.said("run", code)


def test_check_without_schema(site: Shop, empty_database: str) -> None:
    """A database without the outbox is a warning that says how to make it."""
    said = checked(site, {"NAME": urlsplit(empty_database).path[1:]})

    assert "(celeriac.W002)" in said
    assert "python -m worker migrate" in said


def test_check_without_grant(site: Shop) -> None:
    """A role that may not enqueue is a warning with the statement that lets it."""
    url = site.env["CELERIAC_DATABASE_URL"]
    query(url, "CREATE ROLE clerk LOGIN")

    said = checked(site, {"USER": "clerk"})
    query(url, "GRANT celeriac_producer TO clerk")
    allowed = checked(site, {"USER": "clerk"})

    query(url, "DROP ROLE clerk")
    assert "(celeriac.W003)" in said
    assert "GRANT celeriac_producer TO clerk" in said
    assert "no issues" in allowed


@pytest.mark.parametrize(
    ("database", "celeriac", "number", "words"),
    [
        ({}, {"BROKER_URL": "redis://127.0.0.1:1/0"}, "W005", "the broker does not answer"),
        ({}, {"TARGETS": {"shop.Product": "goods"}}, "W004", "workers serve 'products'"),
        ({}, {"TARGETS": {"shop.Goods": "goods"}}, "E003", "no installed model"),
        ({}, {"STYLE": "outbux"}, "E001", "'outbox' or 'on_commit', got 'outbux'"),
        ({}, {"BROKER": "redis://"}, "E001", "has no entry 'BROKER'"),
        ({}, {"TIMEOUT": 0}, "E001", "a number of seconds above 0, got 0"),
        ({}, {"USING": "elsewhere"}, "E001", "an alias of DATABASES, got 'elsewhere'"),
        ({}, {"BROKER_URL": "amqp://guest:secret@x"}, "E001", "must start with one of redis://"),
        ({"ENGINE": "django.db.backends.sqlite3"}, {}, "E002", "install psycopg2"),
    ],
)
def test_check_of_what_is_wrong(
    site: Shop, database: dict[str, str], celeriac: dict[str, object], number: str, words: str
) -> None:
    """Each mistake in the settings, or beyond them, has a message of its own and a hint."""
    said = checked(site, database, **celeriac)

    assert f"(celeriac.{number})" in said
    assert words in said
    assert "HINT: " in said
    assert "secret" not in said
