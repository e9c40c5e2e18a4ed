"""Make tables as Django makes them: ``python -m tests.integration.django_tables URL``.

A process of its own, because Django's settings are one per process.
"""

import sys
from typing import Any

import django
from django.conf import settings
from psycopg2.extensions import parse_dsn


def configure(url: str) -> None:
    """Point Django at the database."""
    dsn: dict[str, Any] = parse_dsn(url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": dsn["dbname"],
        "USER": dsn["user"],
        "HOST": dsn["host"],
    }
    settings.configure(
        DATABASES={"default": database},
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def create_tables() -> None:
    """Let Django's own DDL make an author's and a book's table."""
    from django.db import connection, models  # noqa: PLC0415 - only after configure()

    class Author(models.Model):
        code = models.CharField(max_length=20, primary_key=True)
        name = models.CharField(max_length=100)

        class Meta:
            app_label = "library"

    class Book(models.Model):
        title = models.CharField(max_length=100)
        price = models.DecimalField(max_digits=10, decimal_places=2)
        added = models.DateTimeField(null=True)
        author = models.ForeignKey(Author, on_delete=models.CASCADE)

        class Meta:
            app_label = "library"

    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)


if __name__ == "__main__":
    configure(sys.argv[1])
    create_tables()
