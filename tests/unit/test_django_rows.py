"""What a Django project has at hand becomes rows with the columns of the model's table."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import django
import pytest
from django.conf import settings
from django.db import models
from django.db.models.functions import Now

if not settings.configured:
    settings.configure(DATABASES={}, INSTALLED_APPS=[])
    django.setup()

from celeriac import BadPayload
from celeriac.django import ingest
from celeriac.django.model_rows import model_rows

ID = UUID("019a9c5e-0000-7000-8000-000000000001")
AT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)


class Maker(models.Model):
    code = models.CharField(max_length=5, primary_key=True)

    class Meta:
        app_label = "rows"


class Article(models.Model):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2, db_column="unit_price")
    maker = models.ForeignKey(Maker, models.CASCADE, null=True)
    key = models.UUIDField(null=True)
    at = models.DateTimeField(null=True)
    more = models.JSONField(null=True)
    raw = models.BinaryField(null=True)
    takes = models.DurationField(null=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "rows"
        db_table = "articles"


class Abstract(models.Model):
    class Meta:
        abstract = True


class Dear(Article):
    class Meta:
        app_label = "rows"
        proxy = True


class Boxed(Article):
    box = models.CharField(max_length=10)

    class Meta:
        app_label = "rows"


def rows(given: Any, model: type[models.Model] = Article, columns: Any = None) -> list[Any]:
    return list(model_rows(model, given, columns))


def test_instance_becomes_its_columns() -> None:
    """Values are plain, columns are the table's, and a key that is not made yet is left out."""
    maker = Maker(code="acme")
    article = Article(
        name="bolt", price="1.10", maker=maker, key=str(ID), at=AT, more={"a": [1, None]},
        raw=memoryview(b"\x00\xff"), takes=timedelta(days=-1, seconds=5), changed=AT,
    )  # fmt: skip

    expected = {
        "name": "bolt",
        "unit_price": Decimal("1.10"),
        "maker_id": "acme",
        "key": ID,
        "at": AT,
        "more": {"a": [1, None]},
        "raw": b"\x00\xff",
        "takes": "-1 days +5 seconds +0 microseconds",
        "changed": AT,
    }
    assert [expected] == rows(article)
    assert [expected | {"id": 7}] == rows([Article(id=7, **_fields(article))])


def test_times_that_saving_would_set_are_set() -> None:
    """auto_now has a time in the row, and the instance stays as it was."""
    article = Article(name="bolt", price=1)

    (row,) = rows(article)

    assert row["changed"] is not None
    assert article.changed is None


def test_deferred_fields_are_left_out() -> None:
    """What an instance did not load is neither fetched nor sent."""
    article = Article.from_db(None, ["id", "name"], [1, "bolt"])

    assert [{"id": 1, "name": "bolt"}] == rows(article)


def test_later_changes_do_not_reach_the_row() -> None:
    """The row is what the instance or the dict held when it was enqueued."""
    more = {"n": 1}
    found = rows([{"more": more}, {"unknown": more}, Article(name="x", price=1, more=more)])

    more["n"] = 2

    assert [{"more": {"n": 1}}, {"unknown": {"n": 1}}] == found[:2]
    assert {"n": 1} == found[2]["more"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"price": "1.5"}, {"unit_price": Decimal("1.5")}),
        ({"unit_price": 2}, {"unit_price": Decimal(2)}),
        ({"maker": Maker(code="acme")}, {"maker_id": "acme"}),
        ({"maker": "acme"}, {"maker_id": "acme"}),
        ({"maker_id": "acme"}, {"maker_id": "acme"}),
        ({"pk": 7}, {"id": 7}),
        ({"no_field": 7}, {"no_field": 7}),
    ],
)
def test_names_of_fields_become_columns(given: Any, expected: Any) -> None:
    """Fields, attributes, columns and pk may be named; other names are the target's to judge."""
    assert [expected] == rows(given)


def test_tuples_take_columns() -> None:
    """With columns a row may be a sequence, and the columns names of fields."""
    assert [{"name": "a", "unit_price": Decimal(1)}] == rows([("a", 1)], columns=("name", "price"))


def test_proxies_are_their_model() -> None:
    """A proxy's instances go to the table of its model, and the other way round."""
    assert (
        "a" == rows(Dear(name="a", price=1))[0]["name"] == rows(Article(name="a"), Dear)[0]["name"]
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([{"name": "a"}, {"price": "many"}], "row 2, column 'unit_price' does not fit its field"),
        ([Article(name="a", price=Now())], "row 1, column 'unit_price'.*an expression"),
        ([Article(name="a", more={1, 2})], "row 1, column 'more'.*set"),
        ([Maker(code="a")], "row 1 must be a 'rows.Article', got a 'rows.Maker'"),
        ({"price": 1, "unit_price": 2}, "row 1 names column 'unit_price' twice"),
        ([5], "row 1 must be an object, got 5"),
    ],
)
def test_what_is_no_row_is_named(given: Any, words: str) -> None:
    """The error says which row, which column and why."""
    with pytest.raises(BadPayload, match=words):
        rows(given)


def test_model_of_several_tables_is_refused() -> None:
    """Multi-table inheritance is no one table, and the error says what to do."""
    with pytest.raises(BadPayload, match="spread over the tables of its parents"):
        rows(Boxed(name="a", box="b"), Boxed)


@pytest.mark.parametrize("given", [5, Article(), models.Model, Abstract])
def test_model_with_a_table_is_needed(given: Any) -> None:
    """Rows go to a model that has a table, or to a name; nothing else is either."""
    with pytest.raises(BadPayload, match="rows go to a model or to a named target"):
        ingest(given, [{}])


def _fields(article: Article) -> dict[str, Any]:
    names = ("name", "price", "maker", "key", "at", "more", "raw", "takes", "changed")
    return {name: getattr(article, name) for name in names}
