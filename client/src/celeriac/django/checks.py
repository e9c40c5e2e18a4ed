"""What ``manage.py check`` says of Celeriac, each message with what to do about it.

Settings are looked at always; servers only where Django's own checks of the
database are (``check --database default``, ``migrate``, tests), and what is
missing there is a warning, since ``migrate`` has to run before it can be there.
"""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any, Final

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections

from celeriac.django.enqueue import client
from celeriac.django.settings import NAME, Settings, Style, mistakes_in, read_settings
from celeriac.errors import BadPayload, BadSetting, BrokerUnavailable

BAD_SETTING: Final = "celeriac.E001"
BAD_DATABASE: Final = "celeriac.E002"
UNKNOWN_MODEL: Final = "celeriac.E003"
NO_SETTINGS: Final = "celeriac.W001"
NO_SCHEMA: Final = "celeriac.W002"
NO_GRANT: Final = "celeriac.W003"
NO_TARGET: Final = "celeriac.W004"
NO_BROKER: Final = "celeriac.W005"

_READ_GRANTS: Final = (files("celeriac.django") / "read_grants.sql").read_text(encoding="utf-8")


def register_checks() -> None:
    """Register the checks; twice is once."""
    register(check_settings, "celeriac")
    register(check_servers, "celeriac", Tags.database)


def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's
    """Look at ``CELERIAC`` and at what it names, without connecting."""
    if not hasattr(django_settings, NAME):
        hint = f"write {NAME} = {{'BROKER_URL': 'redis://…', 'STYLE': 'outbox'}}, or {{}}"
        return [Warning(f"the settings have no {NAME}", hint=hint, id=NO_SETTINGS)]
    mistakes = list(mistakes_in(getattr(django_settings, NAME)))
    if mistakes:
        return [Error(one.words, hint=one.hint, id=BAD_SETTING) for one in mistakes]
    settings = read_settings()
    return [*_check_database(settings), *_check_models(settings)]


def check_servers(
    app_configs: Any,  # noqa: ARG001 - Django's
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Look into the outbox's database and at what the workers serve, if connecting is allowed."""
    try:
        settings = read_settings()
    except BadSetting:
        return []  # check_settings says it
    if settings.using not in (databases or ()):
        return []
    found: list[CheckMessage] = []
    if settings.style is Style.OUTBOX and not list(_check_database(settings)):
        found += _check_outbox(settings.using)
    if settings.broker_url is not None:
        found += _check_targets(settings)
    return found


def _check_database(settings: Settings) -> Iterator[CheckMessage]:
    if settings.style is Style.ON_COMMIT:
        return
    try:
        vendor = connections[settings.using].vendor
    except ImproperlyConfigured as error:
        # Its words are Django's, which has a message of its own for that.
        vendor = f"none that can be loaded ({error})".partition("\n")[0]
    if vendor != "postgresql":
        yield Error(
            f"the outbox is in PostgreSQL, but database {settings.using!r} is {vendor}",
            hint=(
                f"let {NAME}['USING'] name a database with the engine"
                " django.db.backends.postgresql and install psycopg2, or write"
                " 'STYLE': 'on_commit'"
            ),
            id=BAD_DATABASE,
        )


def _check_models(settings: Settings) -> Iterator[CheckMessage]:
    known = {model._meta.label for model in apps.get_models()}
    for label in settings.targets:
        if label not in known:
            yield Error(
                f"{NAME}['TARGETS'] names {label!r}, which is no installed model",
                hint="write it as 'app_label.ModelName', the app among INSTALLED_APPS",
                id=UNKNOWN_MODEL,
            )


def _check_outbox(alias: str) -> Iterator[CheckMessage]:
    user = connections[alias].settings_dict["USER"] or "the role that Django logs in as"
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(_READ_GRANTS)
            ((has_schema, may_use, has_functions, may_call),) = cursor.fetchall()
    except DatabaseError as error:
        words = f"database {alias!r} cannot be asked for the outbox: {error}"
        yield Warning(words, hint="see that the server runs and lets us in", id=NO_SCHEMA)
        return
    if not (has_schema and has_functions):
        yield Warning(
            f"database {alias!r} has no schema celeriac with an outbox",
            hint=(
                "run `python -m worker migrate` of the workers' project on this database,"
                f" or write 'STYLE': 'on_commit' into {NAME}"
            ),
            id=NO_SCHEMA,
        )
    elif not (may_use and may_call):
        yield Warning(
            f"{user!r} may not enqueue in database {alias!r}",
            hint=f"have the owner run: GRANT celeriac_producer TO {user}",
            id=NO_GRANT,
        )


def _check_targets(settings: Settings) -> Iterator[CheckMessage]:
    try:
        for label, target in settings.targets.items():
            yield from _check_target(label, target)
    except BrokerUnavailable as error:
        hint = f"see that Redis runs where {NAME}['BROKER_URL'] says"
        yield Warning(f"the broker does not answer: {error}", hint=hint, id=NO_BROKER)


def _check_target(label: str, target: str) -> Iterator[CheckMessage]:
    try:
        client().check_target(target)
    except BadPayload as error:
        hint = f"add [{target}] to targets.toml of the workers, or correct {NAME}['TARGETS']"
        yield Warning(f"model {label!r}: {error}", hint=hint, id=NO_TARGET)
